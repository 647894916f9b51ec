"""The worker: sends emails when it is woken, and keeps the timetable. `python worker.py`; run as many as you like.
`python worker.py webhooks` is the worker of webhooks and chat: a receiver that is slow there delays no email.

One process with a few threads. The main thread is RQ's SimpleWorker on the one queue, which runs jobs in this process.
RQ's Worker forks for each job, which costs 12 ms for a job of 10 ms and leaves a child behind when its parent is
killed; here kill -9 ends everything. What that loses is a job: the notice is in the database, its lease ends, and a
sweep finds it. The other threads write the heartbeat every 10 s and sweep every 30 s, so that emails go out while the
broker is down, too. Each kind of worker has a queue of its own: RQ loses the job of a worker that is killed while it
takes one from several.
"""

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

from flask import Flask
from redis import Redis
from redis.exceptions import RedisError, ResponseError
from rq import SimpleWorker
from rq.exceptions import StopRequested

from webapp import create_app
from webapp.config import Settings, SettingsError
from webapp.database import faults
from webapp.database.transactions import choose
from webapp.delivery import jobs, out_jobs
from webapp.delivery.mail import smtp
from webapp.delivery.outbox import QUEUES, Channel
from webapp.embedded.process import die_with_parent, tune_garbage_collection
from webapp.runtime import jsonlog
from webapp.runtime.broker import connect, server_version

SWEEP_SECONDS = 30.0
BEAT_SECONDS = 10.0
# Seconds after SIGTERM: when the conversation in hand is cut, and when the process ends at the latest.
CUT_AFTER, END_AFTER = 2.0, 3.3
OLDEST_REDIS = (6, 2)
# What a process does, by the word after its command; emails without one.
ROLES = {"emails": Channel.MAIL, "webhooks": Channel.WEBHOOK}

log = logging.getLogger("countersign.worker")


class TooOld(Exception):
    """The broker is a Redis on which RQ loses jobs; the message is a sentence for people."""


class Worker(SimpleWorker):
    """RQ's worker with the app's context around each job, and one way to stop it."""

    # Seconds; RQ's own is 60, for which no job would be taken after the broker is back.
    max_connection_wait_time = 5.0
    log_result_lifespan = False

    def __init__(self, app: Flask, connection: Redis, queue: str) -> None:
        super().__init__(
            [queue],
            connection=connection,
            worker_ttl=30,
            maintenance_interval=10,
            job_monitoring_interval=5,
            log_job_description=False,
        )
        self.app = app
        self.waiting = False

    def dequeue_job_and_maintain_ttl(self, *args: Any, **kwargs: Any) -> Any:
        self.waiting = True
        try:
            if self._stop_requested:
                raise StopRequested
            return super().dequeue_job_and_maintain_ttl(*args, **kwargs)
        finally:
            self.waiting = False

    def perform_job(self, *args: Any, **kwargs: Any) -> bool:
        with self.app.app_context():
            choose("write")
            return super().perform_job(*args, **kwargs)

    def stop(self) -> None:
        """Called by the signal handler in the main thread: ends at once while waiting for a job, else after it."""
        self._stop_requested = True
        if self.waiting:
            raise StopRequested

    def _set_ip_address(self, connection: Redis) -> None:
        """Not asked for: redis-py cannot read the answer when the path of the broker's socket has a space in it."""
        self.ip_address = "unknown"

    def subscribe(self) -> None:
        """Not to RQ's commands: nobody here sends any, and the thread would outlive a broker that went away."""

    def _install_signal_handlers(self) -> None:
        """main() has installed ours, which also work while there is no broker."""


class Process:
    """What main() runs: the threads, the RQ worker, and the way they end."""

    def __init__(self, app: Flask, settings: Settings, channel: Channel) -> None:
        self.app = app
        self.settings = settings
        self.channel = channel
        # The banner of the email log looks for the workers of emails only.
        role = "webhooks@" if channel is Channel.WEBHOOK else ""
        self.name = role + f"{socket.gethostname()}:{os.getpid()}"[-100:]
        self.worker: Worker | None = None
        self.refusal = ""
        seconds = float(os.environ.get("COUNTERSIGN_SWEEP_SECONDS") or SWEEP_SECONDS)
        self.sweeper = self._every(seconds, partial(self._sweep, jobs.SWEEPS[channel]))
        self.beater = self._every(BEAT_SECONDS, lambda: jobs.beat(self.name))

    def run(self) -> None:
        """Works until SIGTERM or SIGINT. Raises TooOld."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)
        asked, asks = os.pipe()
        os.set_blocking(asks, False)
        signal.set_wakeup_fd(asks, warn_on_full_buffer=False)
        threading.Thread(target=_end_in_time, args=(asked, threading.get_ident()), daemon=True).start()
        if self.channel is Channel.WEBHOOK:
            with self.app.app_context():
                out_jobs.start()
        for thread in (self.beater, self.sweeper):
            thread.start()
        log.info("The worker runs.", extra={"worker": self.name})
        wait = 0.5
        while not jobs.stopping.is_set():
            began = time.monotonic()
            self._take_jobs()
            # While the broker is away, less and less often; each try is a line in the log.
            wait = min(wait * 2, Worker.max_connection_wait_time) if time.monotonic() - began < 10 else 0.5
            self._pause(wait)
        until = time.monotonic() + END_AFTER
        self.sweeper.join(max(0, until - time.monotonic()))
        if out_jobs.dispatcher is not None:
            out_jobs.dispatcher.join(until)
        log.info("The worker has stopped.", extra={"worker": self.name})

    def _sweep(self, sweep: Callable[[], None]) -> None:
        """Runs it, unless the database was upgraded behind us: code of another version must not work on it."""
        if self.refuses():
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            sweep()

    def refuses(self) -> bool:
        """Whether the database is of another version than this code, which is then the reason to end."""
        with self.app.app_context():
            self.refusal = faults.schema_problem()
        if self.refusal:
            log.critical("The worker cannot work.", extra={"error": self.refusal})
        return bool(self.refusal)

    def _take_jobs(self) -> None:
        """RQ's loop, until it ends because of us or because of the broker."""
        try:
            with connect(self.settings.redis_url, timeout=5) as probe:
                refuse_too_old(probe)
            # A connection of its own: RQ lengthens the time-out to that of its blocking wait, but only of those
            # that are not made yet.
            self.worker = Worker(self.app, connect(self.settings.redis_url, timeout=5),
                                 QUEUES[self.channel])  # fmt: skip
            self.worker.work(logging_level="WARNING")
        except (RedisError, OSError) as error:
            if not jobs.stopping.is_set():
                log.warning("The broker is out of reach; the sweep goes on.", extra={"error": str(error)})
        except StopRequested:
            pass
        finally:
            self.worker = None

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        if jobs.stopping.is_set():
            return
        # Only the other threads ever wait for this event, so that setting it here never waits for ourselves.
        jobs.stopping.set()
        out_jobs.stopping.set()
        if self.worker is not None:
            self.worker.stop()

    def _every(self, seconds: float, work: Callable[[], None]) -> threading.Thread:
        def repeat() -> None:
            while not jobs.stopping.is_set():
                try:
                    with self.app.app_context():
                        choose("write")
                        work()
                except Exception as error:
                    with self.app.app_context():
                        faults.note(error)
                    log.exception("Something in the timetable failed; it is tried again.")
                jobs.stopping.wait(seconds)

        return threading.Thread(target=repeat, daemon=True)

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and not jobs.stopping.is_set():
            time.sleep(0.05)


def refuse_too_old(connection: Redis) -> None:
    """Raises TooOld for a Redis before 6.2, on which RQ moves jobs in a way that can lose them."""
    try:
        words = server_version(connection)
    except ResponseError as error:
        if "unknown command" not in str(error).lower():
            raise
        words = "5 or older"  # which does not know how we say hello
    version = tuple(int(part) for part in words.split(".")[:2] if part.isdigit())
    if version < OLDEST_REDIS:
        raise TooOld(f"REDIS_URL leads to Redis {words}. Countersign needs Redis 6.2 or newer, or Valkey.")


def _end_in_time(asked: int, main: int) -> None:
    """The end of the process, from the moment that a signal's number can be read from `asked`.

    Python runs a signal's handler in the thread `main`, before that takes its next step. While it waits for somebody,
    only a signal of its own wakes it: not one that the system gave to another thread, nor one that came just before
    the wait began. So it is woken until it has heard.
    """
    while os.read(asked, 1)[0] not in (signal.SIGTERM, signal.SIGINT):
        pass  # RQ's alarm for jobs that take too long
    cut = time.monotonic() + CUT_AFTER
    while not jobs.stopping.wait(0.05) and time.monotonic() < cut:
        signal.pthread_kill(main, signal.SIGTERM)
    time.sleep(max(cut - time.monotonic(), 0))
    smtp.close_sockets()
    time.sleep(END_AFTER - CUT_AFTER)
    # A database or broker that hangs: what is not done by now is found by the next sweep.
    os._exit(0)


def main() -> int:
    if os.environ.get("COUNTERSIGN_EMBEDDED") == "1":
        die_with_parent()
    jsonlog.configure()
    jsonlog.take_over()
    role = sys.argv[1] if len(sys.argv) > 1 else "emails"
    if role not in ROLES:
        log.critical(
            "The worker cannot start.", extra={"error": f"Run it as worker.py {' or worker.py '.join(ROLES)}."}
        )
        return 2
    try:
        settings = Settings.from_env()
        jsonlog.configure(settings.log_level)
        process = Process(create_app(settings, web=False), settings, ROLES[role])
        if process.refuses():
            return 1
        tune_garbage_collection()
        process.run()
    except (SettingsError, TooOld) as error:
        log.critical("The worker cannot start.", extra={"error": str(error)})
        return 1
    return 1 if process.refusal else 0


if __name__ == "__main__":
    sys.exit(main())
