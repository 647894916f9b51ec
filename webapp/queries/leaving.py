"""What is left to do for somebody who leaves: their apps, what they own and decide, and who counts on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from webapp.extensions import db
from webapp.models import ApiToken, App, Endpoint, Group, Membership, Person
from webapp.queries import holdings
from webapp.queries.app_summaries import APP_COLUMNS, AppSummary, app_summary
from webapp.queries.holdings import Rule
from webapp.queries.principals import Principal, groups_with, people_with, principal


@dataclass(frozen=True, slots=True)
class LeftToDo:
    """Each list by name. `held` are (public id of the grant, app); `tokens` and `channels` rows with public_id and
    name; `groups` those that the person is in."""

    held: Sequence[tuple[str, AppSummary]]
    owned: Sequence[AppSummary]
    rules: Sequence[Rule]
    groups: Sequence[Principal]
    tokens: Sequence[Any]
    channels: Sequence[Any]
    reports: Sequence[Principal]

    @property
    def count(self) -> int:
        every = (self.held, self.owned, self.rules, self.groups, self.tokens, self.channels, self.reports)
        return sum(len(one) for one in every)


def left_to_do(person: Person, *, now: datetime) -> LeftToDo:
    """Seven statements."""
    owned = db.session.execute(
        select(*APP_COLUMNS)
        .where(App.owner_person_id == person.id, App.archived_at.is_(None))
        .order_by(App.sort_key, App.id)
    )
    groups = db.session.execute(
        groups_with(Group.archived_at.is_(None))
        .join(Membership, Membership.group_id == Group.id)
        .where(Membership.person_id == person.id)
        .order_by(Group.sort_key, Group.id)
    )
    tokens = db.session.execute(
        select(ApiToken.public_id, ApiToken.name)
        .where(
            ApiToken.kind == "service", ApiToken.created_by_id == person.id, ApiToken.revoked_at.is_(None),
            ApiToken.expires_at > now,
        )
        .order_by(ApiToken.name, ApiToken.id)
    )  # fmt: skip
    channels = db.session.execute(
        select(Endpoint.public_id, Endpoint.name)
        .where(Endpoint.person_id == person.id, Endpoint.removed_at.is_(None))
        .order_by(Endpoint.name, Endpoint.id)
    )
    reports = db.session.execute(
        people_with(Person.manager_id == person.id, Person.active).order_by(Person.sort_key, Person.id)
    )
    return LeftToDo(
        holdings.listed(person.id),
        [app_summary(row) for row in owned],
        holdings.rules_naming(person=person.id),
        [principal(row) for row in groups],
        tokens.all(),
        channels.all(),
        [principal(row) for row in reports],
    )
