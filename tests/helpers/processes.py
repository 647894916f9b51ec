"""What the tests of the embedded stack share: waiting, looking at processes, running the supervisor."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil

PROJECT = Path(__file__).resolve().parents[2]


def until(question, within=15.0):
    """Ask until the answer is true, and answer it; fails after `within` seconds."""
    give_up = time.monotonic() + within
    while not (answer := question()):
        assert time.monotonic() < give_up, f"still not so after {within} s"
        time.sleep(0.03)
    return answer


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def get(port, path):
    """The status of a GET, or None when nobody answers."""
    with contextlib.suppress(OSError):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            with error:
                return error.code
    return None


def family(pid):
    """Every process below this one."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children(recursive=True)
    return []


def alive(processes):
    """Those that still run; one that has ended and was not waited for does not."""
    left = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                left.append(process)
    return left


class Stack:
    """`python -m webapp.embedded` as bin/run starts it, on a data folder and a port of its own."""

    def __init__(self, data, port=None, **environment):
        self.data = data
        self.port = port or free_port()
        self.environment = environment
        self.log = data.with_name(f"{data.name}-{self.port}.log")
        self.process = None

    def start(self, wait=True):
        outside = ("DATABASE_URL", "REDIS_URL", "MAIL_SERVER", "BASE_URL", "SECRET_KEY", "COUNTERSIGN_SINK")
        environment = {name: value for name, value in os.environ.items() if name not in outside}
        environment |= {"COUNTERSIGN_DATA": str(self.data), "PORT": str(self.port), "COUNTERSIGN_DEMO": "0"}
        environment |= self.environment
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "webapp.embedded"],
                cwd=PROJECT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if wait:
            until(lambda: "Countersign runs at" in self.output() or self.process.poll() is not None, within=40)
            assert self.process.poll() is None, self.output()
        return self

    def output(self):
        return self.log.read_text() if self.log.exists() else ""

    def part(self, word):
        """The process directly below the supervisor whose command line holds `word`."""
        for process in psutil.Process(self.process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if word in " ".join(process.cmdline()):
                    return process
        return None

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                for process in [*family(self.process.pid), self.process]:
                    process.kill()
        if self.process:
            self.process.wait()
