"""Channels: each has a job and a sweep of its own, and waking one wakes no other."""

from __future__ import annotations

import importlib

import pytest
from flask import Flask

from webapp.delivery import jobs, outbox
from webapp.delivery.outbox import DELAYS, DRAINS, Channel
from webapp.notices import TRIES


def test_every_channel_has_a_job_and_a_sweep() -> None:
    assert set(DRAINS) == set(jobs.SWEEPS) == set(Channel)
    for name in DRAINS.values():
        module, _, function = name.rpartition(".")
        assert callable(getattr(importlib.import_module(module), function))


def test_a_commit_wakes_the_workers_once_for_each_channel(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    woken: list[Channel] = []
    monkeypatch.setattr(outbox, "wake_workers", woken.append)
    outbox.wake()
    outbox.wake(Channel.MAIL)
    outbox.commit()
    outbox.commit()
    assert woken == [Channel.MAIL]


def test_there_is_a_pause_before_every_attempt_but_the_first() -> None:
    assert len(DELAYS) == TRIES - 1
