"""The supervisor brings back what ends, says so, and stops everything in order. Its parts are small commands."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.helpers.processes import PROJECT, alive, until
from webapp.embedded import supervisor as module
from webapp.embedded.supervisor import Part, StartError, Stopped, Supervisor

from .fakes import DEAF, FAILING, SLEEPER


@pytest.fixture
def supervise(tmp_path):
    made = []

    def supervise(*parts):
        said = []
        made.append(Supervisor(parts, folder=tmp_path, environment=dict(os.environ), say=said.append))
        return made[-1], said

    yield supervise
    for supervisor in made:
        supervisor.stop()


def test_parts_start_in_order_each_when_the_one_before_is_ready(supervise):
    asked = []

    def ready():
        asked.append(supervisor.pids())
        return len(asked) > 2

    supervisor, _ = supervise(Part("broker", SLEEPER, 1, ready=ready), Part("web", SLEEPER, 1))
    supervisor.start()
    assert all(set(running) == {"broker"} for running in asked)
    assert set(supervisor.pids()) == {"broker", "web"}


def test_a_killed_part_comes_back_and_a_sentence_says_so(supervise):
    supervisor, said = supervise(Part("web", SLEEPER, 1), Part("worker", SLEEPER, 1))
    supervisor.start()
    before = supervisor.pids()
    os.kill(before["web"], signal.SIGKILL)
    until(lambda: supervisor.check() or supervisor.pids().get("web") not in (None, before["web"]))
    assert supervisor.pids()["worker"] == before["worker"]
    assert said == ["The web ended (signal 9); starting it again now."]


def test_a_part_that_ends_at_once_every_time_is_started_more_and_more_seldom(supervise):
    supervisor, said = supervise(Part("worker", FAILING, 1))
    supervisor.start()
    until(lambda: supervisor.check() or len(said) == 3)
    assert [sentence.rpartition("again ")[2] for sentence in said] == ["now.", "in 0.5 s.", "in 1 s."]


def test_a_part_that_does_not_get_ready_ends_the_start_with_its_reason(supervise):
    part = Part("broker", FAILING, 1, ready=lambda: False, complaint=lambda: "The disk is full.")
    supervisor, _ = supervise(part)
    with pytest.raises(StartError, match=r"The broker did not start. The disk is full."):
        supervisor.start()


def test_parts_stop_in_the_order_of_their_time_and_a_deaf_one_is_killed(supervise):
    supervisor, _ = supervise(Part("broker", SLEEPER, 2), Part("web", DEAF, 0.5), Part("worker", SLEEPER, 1))
    supervisor.start()
    processes = [psutil.Process(pid) for pid in supervisor.pids().values()]
    time.sleep(0.3)  # until the deaf one is deaf
    began = time.monotonic()
    supervisor.stop()
    assert time.monotonic() - began < 2
    assert alive(processes) == []


def test_a_stop_during_the_start_ends_what_is_running(supervise):
    supervisor, _ = supervise()
    supervisor.stopping = True
    with pytest.raises(Stopped):
        supervisor.run_once(SLEEPER)


def test_the_wait_between_starts_is_capped(supervise, monkeypatch):
    monkeypatch.setattr(module, "LONGEST_WAIT", 0.1)
    supervisor, said = supervise(Part("worker", FAILING, 1))
    supervisor.start()
    until(lambda: supervisor.check() or len(said) == 5)
    assert said[-1].endswith("again in 0.1 s.")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's part of this is Linux's")
def test_a_child_ends_with_its_killed_parent():
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os, time\n"
            "from webapp.embedded.process import die_with_parent\n"
            "parent = os.getpid()\n"
            "if os.fork() == 0: die_with_parent(parent=parent); print(os.getpid(), flush=True)\n"
            "time.sleep(60)\n",
        ],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        until(lambda: not alive([child]), within=5)
