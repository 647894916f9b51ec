"""The form that makes an API token: of a person, on their account page, and of a service, on the admin's."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from flask import request

from webapp import clock, tokens
from webapp.models import ApiToken, Person
from webapp.operations import tokens as operations
from webapp.operations.errors import Invalid
from webapp.queries import tokens as queries
from webapp.queries.tokens import TokenLine
from webapp.text import one_line
from webapp.web.presentation import times
from webapp.workflow.scopes import SCOPE_TEXTS, Scope

# Characters behind the prefix that tell tokens apart well enough to end one by them.
FEWEST = 3
# What is proposed, where that is allowed.
USUAL_DAYS = 90
# Names of apps that are told in a sentence.
NAMED = 3


@dataclass(frozen=True, slots=True)
class TokenForm:
    """What was typed, or what is proposed. `last` is the last day that it may end on, in the reader's zone."""

    name: str
    scopes: frozenset[str]
    ends: str
    networks: str
    first: date
    last: date

    @property
    def days(self) -> int:
        """How long the token is to last. Raises Invalid."""
        try:
            chosen = date.fromisoformat(self.ends)
        except ValueError:
            raise Invalid(days="Enter a date, for example 2027-01-31.") from None
        if not self.first <= chosen <= self.last:
            raise Invalid(days=f"Choose a date from {_told(self.first)} to {_told(self.last)}.")
        return (chosen - self.first).days + 1


def proposed(limit: int, *, name: str = "", scopes: frozenset[Scope] = frozenset(), networks: str = "") -> TokenForm:
    """The form as it is first drawn; `limit` is the most days that are allowed."""
    first, last = _range(limit)
    ends = first + timedelta(days=min(limit, USUAL_DAYS) - 1)
    return TokenForm(name, frozenset(one.value for one in scopes), ends.isoformat(), networks, first, last)


def typed(limit: int) -> TokenForm:
    """The form as it was submitted."""
    form = request.form
    return TokenForm(
        one_line(form.get("name", "")),
        frozenset(form.getlist("scopes")),
        one_line(form.get("ends", ""))[:20],
        one_line(form.get("networks", "")),
        *_range(limit),
    )


@dataclass(frozen=True, slots=True)
class ScopeChoice:
    """A scope that can be chosen."""

    scope: Scope
    words: str

    @property
    def is_strong(self) -> bool:
        """Whether somebody's decision is given with it."""
        return self.scope is Scope.DECIDE


def choices_for_person(*, is_admin: bool, not_decided: list[str]) -> list[ScopeChoice]:
    """What a person's token may have; `not_decided` are the apps for which `decide` does not work."""
    found = [ScopeChoice(one, f"{SCOPE_TEXTS[one]}.") for one in Scope if is_admin or not one.is_for_admins]
    if not not_decided:
        return found
    more = f"Does not work for {_listed(not_decided)}, where you have to sign in to decide."
    return [ScopeChoice(one.scope, f"{one.words} {more}") if one.is_strong else one for one in found]


def choices_for_service() -> list[ScopeChoice]:
    """What a service token may have: no program decides without a person."""
    return [ScopeChoice(one, f"{SCOPE_TEXTS[one]}.") for one in Scope if one.is_for_services]


def _listed(names: list[str]) -> str:
    if len(names) > NAMED:
        rest = len(names) - NAMED + 1
        return f"{', '.join(f'{one}' for one in names[: NAMED - 1])} and {rest} more apps"
    return " and ".join(filter(None, (", ".join(f"{one}" for one in names[:-1]), f"{names[-1]}")))


def _range(limit: int) -> tuple[date, date]:
    """The first and the last day on which a token that is made now can end."""
    today = times().local(times().now).date()
    return today + timedelta(days=1), today + timedelta(days=limit)


def _told(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def end(token: ApiToken, person: Person | None, *, actor: Person, leaked: bool = False) -> str:
    """Ends a token of this person, else of a service, and returns what was done, and who was told. Raises Conflict."""
    operations.revoke(token, actor=actor, now=clock.now(), leaked=leaked)
    if person is None or person.id == actor.id:
        return f"{token.name} ended."
    return f"{token.name} ended. We have told {person.name} by email."


def leaked(text: str, *, now: datetime) -> TokenLine:
    """The one token that the text holds, or the first characters of, whether it has ended or not. Raises Invalid."""
    given = tokens.found_in(text)
    shown = tokens.beginning(given)
    if not given:
        raise Invalid(token="Enter a token or its first characters. Tokens begin with csn_.")  # nosec
    if len(given) < len(tokens.prefix_of(given)) + FEWEST:
        raise Invalid(token=f"Enter at least {FEWEST} characters after {tokens.prefix_of(given)}.")
    found = queries.beginning_with(given, now=now)
    if not found:
        raise Invalid(token=f"No token begins with {shown}. Check for upper and lower case, or enter more of it.")
    if len(found) > 1:
        more = f"{len(found)} or more" if len(found) == queries.FOUND else f"{len(found)}"
        raise Invalid(token=f"{more} tokens begin with {shown}. Enter more characters, or the whole token.")
    return found[0]
