"""Leases on the rows of another channel: a table of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar

import pytest
from flask import Flask
from sqlalchemy import MetaData, insert, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tests.helpers.factories import Company
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import lease, outbox, stops
from webapp.extensions import db
from webapp.models import Notice, db_now
from webapp.models.base import UTCDateTime
from webapp.models.lease import Leased
from webapp.models.notices import Cause
from webapp.notices import NoticeKind, notice


class Tables(DeclarativeBase):
    metadata = MetaData()
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UTCDateTime()}


class Delivery(Leased, Tables):
    __tablename__ = "test_deliveries"

    id: Mapped[int] = mapped_column(primary_key=True)


ORDER = (Delivery.due_at, Delivery.id)


@pytest.fixture
def three(app: Flask) -> Iterator[None]:
    """Three deliveries that are due."""
    choose("write")
    Delivery.metadata.create_all(db.engine)
    rows = [{"id": number, "state": "due", "due_at": db_now(-60), "tries": 0, "error": ""} for number in (1, 2, 3)]
    for row in rows:
        db.session.execute(insert(Delivery).values(row))
    db.session.commit()
    yield
    db.session.rollback()
    Delivery.metadata.drop_all(db.engine)


def states() -> list[tuple[int, str, int]]:
    found = [
        tuple(row) for row in db.session.execute(select(Delivery.id, Delivery.state, Delivery.tries).order_by("id"))
    ]
    db.session.rollback()
    return found


@pytest.mark.usefixtures("three")
def test_a_row_is_claimed_once_and_marked_by_its_holder_only() -> None:
    first = lease.claim(Delivery, 2, order=ORDER)
    second = lease.claim(Delivery, 2, order=ORDER)
    assert [[one.id for one in claims] for claims in (first, second)] == [[1, 2], [3]]
    stranger = lease.Claim(3, first[0].lease, 1)
    assert lease.mark(Delivery, [stranger], state="sent") == 0
    assert lease.mark(Delivery, second, state="sent") == 1
    db.session.commit()
    assert states() == [(1, "leased", 1), (2, "leased", 1), (3, "sent", 1)]


@pytest.mark.usefixtures("three")
def test_what_is_given_back_loses_no_attempt_and_what_a_dead_worker_held_is_claimed_again() -> None:
    claims = lease.claim(Delivery, 3, order=ORDER)
    assert lease.give_back(Delivery, claims[:1]) == 1
    db.session.execute(update(Delivery).where(Delivery.id == 2).values(lease_until=db_now(-1)))
    db.session.commit()
    again = lease.claim(Delivery, 3, order=ORDER)
    assert [one.id for one in again] == [1, 2]
    assert lease.mark(Delivery, claims[1:2], state="sent") == 0
    db.session.commit()
    assert states() == [(1, "leased", 1), (2, "leased", 2), (3, "leased", 1)]


@pytest.mark.usefixtures("three")
def test_a_mail_server_that_is_out_of_reach_holds_up_no_other_channel(company: Company) -> None:
    outbox.post([notice(NoticeKind.TEST, "requester", now=clock.now(), person_id=company.ana.id)])
    outbox.commit()
    stops.begin(Cause.UNREACHABLE, "no route to host")
    assert outbox.claim(10) == []
    assert [one.id for one in lease.claim(Delivery, 10, order=ORDER)] == [1, 2, 3]
    assert db.session.scalars(select(Notice.state)).all() == ["due"]
