"""The API tokens of the demo company. No one knows their secrets: they are there to be looked at and ended."""

from dataclasses import dataclass
from datetime import datetime

from webapp.models import ApiToken, Person
from webapp.operations import tokens

from .diary import Diary


@dataclass(frozen=True, slots=True)
class Program:
    """A token; `who` has it, "" for a service. `ended`: when the admin ended it."""

    name: str
    who: str
    scopes: tuple[str, ...]
    made: datetime
    days: int
    used: datetime | None = None
    address: str = ""
    ended: datetime | None = None


def programs(diary: Diary) -> list[Program]:
    day, ago = diary.day, diary.ago
    return [
        Program("Old intranet", "", ("apps:read",), day(58, "10:12"), 180, day(24, "07:00"), "10.2.0.9",
                ended=day(12, "15:40")),
        Program("Onboarding script", "", ("people:read", "requests:write"), day(40, "09:05"), 365, ago(0.6),
                "10.2.0.14"),
        Program("laptop", "Rita", ("requests:read", "requests:write"), day(30, "11:32"), 90, ago(0.2), "10.2.0.88"),
        Program("terminal", "Noah", ("requests:read", "decide"), day(9, "14:20"), 30, day(1, "16:05"), "10.2.0.31"),
    ]  # fmt: skip


def make(program: Program, person: Person | None, *, admin: Person, now: datetime) -> ApiToken:
    """Makes the token as its person, or the admin, did; as it was used last."""
    row, _ = tokens.create(
        name=program.name, scopes=program.scopes, days=program.days, person=person, actor=person or admin, now=now
    )
    row.last_used_at, row.last_used_address = program.used, program.address
    return row
