"""The domains that outcome emails may go to: those of active people, and those that an admin has allowed."""

from collections.abc import Iterable

from sqlalchemy import exists, select

from webapp import addresses
from webapp.extensions import db
from webapp.models import Organisation, Person


def outside(given: Iterable[str]) -> frozenset[str]:
    """The addresses that are in no allowed domain. One statement, none without addresses."""
    domain = {one: addresses.same(one).rpartition("@")[2] for one in given}
    wanted = sorted(set(domain.values()))
    if not wanted:
        return frozenset()
    row = db.session.execute(
        select(
            Organisation.outcome_domains,
            *(exists().where(Person.active, Person.email.endswith(f"@{one}", autoescape=True)) for one in wanted),
        )
    ).one()
    allowed = {*row[0].split(), *(one for one, is_ours in zip(wanted, row[1:], strict=True) if is_ours)}
    return frozenset(one for one in domain if domain[one] not in allowed)


def allowed_also() -> list[str]:
    """The domains that an admin has allowed besides those of people."""
    return (db.session.scalar(select(Organisation.outcome_domains)) or "").split()
