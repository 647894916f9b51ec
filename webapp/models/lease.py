"""The columns of rows that workers claim, send and mark: an outbox is a table with these."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column


class Leased:
    """Mixin. due → leased → sent, dead or obsolete; only the holder of `lease` marks a row before `lease_until`."""

    id: Mapped[int]
    state: Mapped[str] = mapped_column(String(8), default="due")
    due_at: Mapped[datetime]
    lease: Mapped[str | None] = mapped_column(String(32))
    lease_until: Mapped[datetime | None]
    tries: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(default="")
    settled_at: Mapped[datetime | None]
