"""The settings of the organisation. For admins and services."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from webapp import clock
from webapp.models import Organisation as Row
from webapp.operations import organisation as operations
from webapp.queries import organisation as queries
from webapp.queries.tokens import Caller
from webapp.workflow.scopes import Scope

from ._operation import must_match, operation
from ._types import Body, Flag, Text

NAME, SENDER, ZONE = "Nordlicht GmbH", "Nordlicht IT", "Europe/Berlin"
_SENDER = "The name that emails come from; “” for Countersign."
_DOMAINS = "Domains to which emails about outcomes may go besides those of active people."
_DAYS = "How many days people’s new tokens may last at most: 30, 90 or 365."
_ALLOWED = "Whether people may make tokens. If not, those that they have are refused and kept; service tokens work on."
_DECIDE = "Whether a token may decide where an app’s rules ask the approver to sign in."


@dataclass(frozen=True, slots=True)
class Organisation:
    """The settings of the organisation."""

    name: Annotated[str, Field(examples=[NAME])]
    sender: Annotated[str, Field(description=_SENDER, examples=[SENDER])]
    time_zone: Annotated[str, Field(description="Of everybody who has not chosen their own.", examples=[ZONE])]
    outcome_domains: Annotated[list[str], Field(description=_DOMAINS, examples=[["partner.example"]])]
    tokens_allowed: Annotated[bool, Field(description=_ALLOWED, examples=[True])]
    token_days: Annotated[int, Field(description=_DAYS, examples=[90])]
    tokens_decide_signed_in: Annotated[bool, Field(description=_DECIDE, examples=[False])]
    has_logo: Flag

    @classmethod
    def of(cls, ours: Row) -> "Organisation":
        return cls(
            str(ours.name), ours.sender, ours.time_zone, ours.outcome_domains.split(), ours.tokens_allowed,
            ours.token_days, ours.tokens_decide_signed_in, bool(ours.logo_hash),
        )  # fmt: skip


@operation("GET", "/organisation", scope=Scope.SETTINGS_ADMIN, audience="admins", answer=Organisation)
def read(caller: Caller) -> Organisation:
    """Read the settings of the organisation."""
    return Organisation.of(queries.load())


class OrganisationChange(Body):
    """What changes; what is left out stays as it is."""

    name: Annotated[Text | None, Field(description="1 to 120 characters.", examples=[NAME])] = None
    sender: Annotated[Text | None, Field(description=_SENDER, examples=[SENDER])] = None
    time_zone: Annotated[Text | None, Field(examples=[ZONE])] = None
    outcome_domains: Annotated[
        list[Text] | None,
        Field(max_length=200, description=f"{_DOMAINS} Up to {operations.DOMAINS_LIMIT}.",
              examples=[["partner.example"]]),
    ] = None  # fmt: skip
    tokens_allowed: Annotated[bool | None, Field(description=_ALLOWED)] = None
    token_days: Annotated[int | None, Field(description=_DAYS, examples=[90])] = None
    tokens_decide_signed_in: Annotated[bool | None, Field(description=_DECIDE)] = None


@operation("PATCH", "/organisation", scope=Scope.SETTINGS_ADMIN, audience="admins", body=OrganisationChange,
           answer=Organisation, needs_match=True)  # fmt: skip
def change(caller: Caller, *, body: OrganisationChange) -> Organisation:
    """Change the settings of the organisation.

    The logo is changed on its page."""
    ours = queries.load(hold=True)
    must_match(Organisation, Organisation.of(ours))
    wanted = body.model_dump(exclude={"outcome_domains"})
    domains = None if body.outcome_domains is None else " ".join(body.outcome_domains)
    operations.change(ours, **wanted, outcome_domains=domains, actor=caller, now=clock.now())
    return Organisation.of(ours)
