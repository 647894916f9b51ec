"""A check of the newest entries of the audit log, for which somebody waits: on the page, or through the API.

The command `audit verify` checks all of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from webapp.record import anchors, audit
from webapp.record.events import EventKind
from webapp.wording import count
from webapp.workflow.actor import AnyActor

# So many are checked in a second or two.
NEWEST = 100_000


@dataclass(frozen=True, slots=True)
class Verification:
    """What a check of the `newest` entries found. `told` is what it was compared with, `unusable` what is wrong with
    the file of anchors, in sentences."""

    report: audit.Report
    newest: int
    told: str
    unusable: str

    @property
    def is_intact(self) -> bool:
        return self.report.broken is None

    @property
    def is_partial(self) -> bool:
        """Whether there may be older entries, which were not checked."""
        return self.report.intact + self.report.not_checked == self.newest

    @property
    def sentences(self) -> str:
        """What people are told."""
        report = self.report
        if report.broken is None:
            found = [self._intact(), report.about_removed_keys(), self.unusable or self.told]
        else:
            found = [
                "The audit log has been altered.", report.broken.sentence, _intact_before(report.intact),
                anchors.AFTER_A_RESTORE if report.broken.by_anchor else "", report.about_removed_keys(),
                "Keep a copy of the database and contact your security team.",
            ]  # fmt: skip
        return " ".join(filter(None, found))

    def _intact(self) -> str:
        report = self.report
        if report.unchecked:
            return (
                f"{count(report.intact, 'entry is', 'entries are')} intact, {report.not_checked:,} cannot be checked."
            )
        if self.is_partial:
            return (
                f"The newest {report.intact:,} entries are intact. To check the whole log, run “flask --app wsgi audit "
                "verify” on the server."
            )
        return "The entry is intact." if report.intact == 1 else f"All {report.intact:,} entries are intact."


def _intact_before(number: int) -> str:
    if not number:
        return "No intact entry before it."
    return f"{count(number, 'entry before it is', 'entries before it are')} intact."


def check(*, newest: int | None = None, when: Callable[[datetime], str] = anchors.in_utc) -> Verification:
    """Reads the newest entries (NEWEST of them), in a second or two, and the anchors on this machine; writes nothing.
    `when` formats a time for the reader."""
    newest = newest or NEWEST
    known, removed, unusable = _anchors()
    report = audit.examine(anchors.compare(known, when), newest=newest)
    return Verification(report, newest, anchors.compared(known, removed, report, when), unusable)


def _anchors() -> tuple[list[anchors.Anchor], list[anchors.Anchor], str]:
    """The anchors on this machine and those whose key was removed, or a sentence about what is wrong with the file."""
    file = anchors.path()
    try:
        return (*(anchors.usable(file) if file.exists() else ([], [])), "")
    except (anchors.BadAnchor, OSError) as error:
        return [], [], f"The anchor file cannot be read. {error}"


def note(found: Verification, *, actor: AnyActor, now: datetime) -> None:
    """Records in the log that it was checked, and what was found."""
    report = found.report
    audit.record(EventKind.AUDIT_VERIFIED, at=now, actor=actor, lines=report.intact, holds=found.is_intact,
                 broken=report.broken.seq if report.broken else None, newest=found.is_partial,
                 unchecked=report.not_checked)  # fmt: skip
