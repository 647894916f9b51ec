"""What one round does and what it found; where each failpoint is passed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from webapp.runtime import failpoints

# Each point, and the kind of process that has to pass it.
WHERE = {
    "commit.before": "web", "commit.after": "web", "wake.after": "web", "audit.in-append": "web",
    "person.in-deactivation": "web", "policy.in-save": "web",
    "mail.claimed": "worker", "mail.after-rcpt": "worker", "mail.before-mark": "worker", "mail.after-mark": "worker",
    "expiry.in-batch": "worker",
    "webhook.posted": "web", "webhook.claimed": "webhooks", "webhook.before-call": "webhooks",
    "webhook.before-mark": "webhooks", "webhook.after-mark": "webhooks",
    "migration.in-upgrade": "web",
}  # fmt: skip
assert set(WHERE) == set(failpoints.POINTS)
SMTP_FAULTS: tuple[dict[str, float], ...] = (
    {"rcpt4": 0.3}, {"rcpt5": 0.15}, {"data4": 0.3}, {"data5": 0.1}, {"hang": 0.1}, {"drop": 0.3}, {"cut": 0.3},
    {"rcpt4": 0.1, "rcpt5": 0.05, "data4": 0.1, "drop": 0.1, "cut": 0.1},
)  # fmt: skip
RECEIVER_FAULTS: tuple[dict[str, float], ...] = (
    {"busy": 0.3}, {"hang": 0.05}, {"drop": 0.3}, {"cut": 0.3}, {"busy": 0.1, "drop": 0.1, "cut": 0.1},
)  # fmt: skip
# What the second webhook wants; the first one wants everything.
SOME_EVENTS = ("request.submitted", "request.approved", "request.denied", "request.expired", "request.cancelled",
               "access.given")  # fmt: skip


@dataclass
class Plan:
    """How much of everything one round does. `redis_down` in seconds; `quiet`: to wait between two faults."""

    requests: int = 200
    kills_at_points: int = 2  # at each
    random_kills: int = 30
    redis_down: tuple[float, ...] = (1.0, 60.0)
    database_crashes: int = 2
    smtp_faults: int = 6
    receiver_faults: int = 6
    askers: int = 24
    apps: int = 28
    quiet: float = 0.5
    sweep: float = 2.0
    passings: int = 4  # a point kills at the first to this one
    longest: float = 480.0


@dataclass
class Report:
    """What a round has done and found."""

    seed: int
    engine: str
    requests: int = 0
    decisions: int = 0
    forms: int = 0
    unknown: int = 0
    mails: int = 0
    doubles: int = 0
    calls: int = 0
    calls_twice: int = 0
    # Seconds from a change to the first call about it, at the median, faults included.
    call_median: float = 0.0
    points: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    catch_up: float = 0.0
    seconds: float = 0.0
    # Seconds of each part of it.
    timing: dict[str, float] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
