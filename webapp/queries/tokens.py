"""API tokens: who a token stands for, and the lists of tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, false, func, or_, select
from sqlalchemy.orm import aliased

from webapp import tokens
from webapp.extensions import db
from webapp.models import ApiToken, App, Membership, Organisation, Person, PolicyRevision
from webapp.queries import ownership
from webapp.queries.columns import read
from webapp.queries.paging import Order, Page, paged
from webapp.workflow.actor import Actor
from webapp.workflow.policy_codec import loads
from webapp.workflow.scopes import Scope, parse_scopes
from webapp.workflow.states import Assurance, Channel


@dataclass(frozen=True, slots=True)
class Caller(Actor):
    """Who calls the API: a person by a token, or a service, which has no person (`id` None) and the rights of an admin
    within its scopes."""

    token_key: str = ""
    token_name: str = ""
    key: str = ""
    name: str = ""
    email: str = ""
    scopes: frozenset[Scope] = frozenset()
    networks: str = ""
    expires_at: datetime | None = None
    owns: bool = False  # whether the person owns an app
    decides_signed_in: bool = False  # whether the organisation lets tokens decide where the rule asks for a session

    @property
    def is_service(self) -> bool:
        return self.id is None

    def is_allowed_from(self, address: str) -> bool:
        """Whether the token may be used from this address."""
        return tokens.is_allowed_from(self.networks, address)


_MAKER = aliased(Person, name="maker")
# Built once: SQLAlchemy takes twice as long to build a statement as to run it.
_CALLER = (
    select(
        ApiToken.id.label("token"), ApiToken.public_id.label("token_key"), ApiToken.name.label("token_name"),
        ApiToken.scope_list, ApiToken.networks, ApiToken.expires_at, ApiToken.created_by_id,
        Person.id, Person.public_id.label("key"), Person.name, Person.email, Person.is_admin,
        # Behind a service is who made its token.
        func.coalesce(Person.vouched_by_id, _MAKER.vouched_by_id).label("vouched_by_id"),
        ownership.owns_any(Person.id).label("owns"), Organisation.tokens_decide_signed_in,
    )
    .select_from(ApiToken)
    .join(Organisation, Organisation.id == 1)
    .outerjoin(Person, Person.id == ApiToken.person_id)
    .outerjoin(_MAKER, and_(_MAKER.id == ApiToken.created_by_id, ApiToken.kind == "service"))
    .where(
        ApiToken.revoked_at.is_(None),
        ApiToken.expires_at > bindparam("now"),
        ApiToken.directory_id.is_(None),
        or_(ApiToken.kind == "service", and_(Person.active, Organisation.tokens_allowed)),
    )
)  # fmt: skip
_BY_HASH = _CALLER.where(ApiToken.hash == bindparam("hash"))


def find_caller(hash: str, *, now: datetime) -> Caller | None:
    """The caller behind a token; None for an unknown, ended or revoked one, and for one whose person is deactivated."""
    return _caller(read(_BY_HASH, {"hash": hash, "now": now}).first())


# Not FOR UPDATE: other transactions may insert rows that refer to the person.
_HOLD_PERSON = (
    select(Person.id)
    .where(Person.id == select(ApiToken.person_id).where(ApiToken.hash == bindparam("hash")).scalar_subquery())
    .with_for_update(key_share=True)
)
# Several calls of one service run side by side; revoking its token waits for them.
_HOLD_TOKEN = select(ApiToken.id).where(ApiToken.hash == bindparam("hash")).with_for_update(read=True)


def hold_caller(hash: str, *, service: bool, now: datetime) -> Caller | None:
    """The same, with a lock on what the caller's rights depend on until the end of the transaction. The directory has
    to be locked before. `service`: what the token says that it is."""
    connection = db.session.connection()
    if connection.dialect.name == "postgresql":
        # Apart from the reading: only a statement that begins afterwards sees what another transaction, which was
        # waited for, has changed.
        connection.execute(_HOLD_TOKEN if service else _HOLD_PERSON, {"hash": hash})
    return _caller(read(_BY_HASH, {"hash": hash, "now": now}).first())


def _caller(row: Any) -> Caller | None:
    if row is None:
        return None
    service = row.id is None
    return Caller(
        row.id, service or row.is_admin, row.vouched_by_id, Channel.API, row.token, row.created_by_id,
        row.token_key, row.token_name, row.key or "", row.name or row.token_name, row.email or "",
        parse_scopes(row.scopes), row.networks, row.expires_at, bool(row.owns), row.tokens_decide_signed_in,
    )  # fmt: skip


def own(public_id: str, person_id: int) -> ApiToken | None:
    """A token of this person, in use or not."""
    return db.session.scalar(
        select(ApiToken)
        .where(ApiToken.public_id == public_id, ApiToken.person_id == person_id)
        .execution_options(populate_existing=True)
    )


_ASK_TO_SIGN_IN = (
    select(App.name, PolicyRevision.body)
    .join(PolicyRevision, PolicyRevision.id == App.policy_revision_id)
    # Fewer rules to read; the rule itself says.
    .where(App.archived_at.is_(None), PolicyRevision.body.like(f'%"{Assurance.SIGN_IN.value}"%'))
    .order_by(App.sort_key, App.id)
)


def apps_that_ask_to_sign_in(person_id: int) -> list[str]:
    """Names of the apps that this person may have to decide on and whose rule asks them to sign in for it; two
    statements."""
    groups = set(db.session.scalars(select(Membership.group_id).where(Membership.person_id == person_id)))
    found = []
    for name, body in db.session.execute(_ASK_TO_SIGN_IN):
        policy = loads(body)
        approvers = [step.approver for step in policy.steps]
        is_asked = any(one.person == person_id or one.group in groups for one in approvers)
        if is_asked and policy.assurance is Assurance.SIGN_IN:
            found.append(name)
    return found


@dataclass(frozen=True, slots=True)
class TokenLine:
    """A token in a list; `person` is whose it is, `ended_by` who revoked it."""

    token: ApiToken
    person: Person | None
    ended_by: Person | None


_OWNER, _ENDER = aliased(Person, name="owner"), aliased(Person, name="ender")


def of_person(person_id: int, *, now: datetime) -> list[TokenLine]:
    """The person's tokens in use, newest first."""
    return _lines(ApiToken.person_id == person_id, *_in_use(now))


def of_services(*, since: datetime) -> list[TokenLine]:
    """The tokens of services: those in use, and those that ended since then; newest first."""
    return _lines(
        ApiToken.kind == "service",
        ApiToken.directory_id.is_(None),
        ApiToken.expires_at > since,
        or_(ApiToken.revoked_at.is_(None), ApiToken.revoked_at > since),
    )


def services_made_by(person_id: int, *, now: datetime) -> int:
    """How many tokens of services are in use that this person made, and may know."""
    mine = ApiToken.kind == "service", ApiToken.created_by_id == person_id
    return db.session.scalar(select(func.count()).select_from(ApiToken).where(*mine, *_in_use(now))) or 0


def of_people(*, now: datetime, after: str = "", before: str = "") -> Page[TokenLine]:
    """People's tokens in use, newest first."""
    query: Select[Any] = _LINES.add_columns(ApiToken.public_id.label("key")).where(
        ApiToken.kind == "person", *_in_use(now)
    )
    newest = Order((ApiToken.id,), down=True)
    rows, count, back, more = paged(query, ApiToken, after=after, before=before, order=newest)
    return Page([TokenLine(row.ApiToken, row.owner, row.ender) for row in rows], count, back, more)


_OF_A_SERVICE = and_(ApiToken.kind == "service", ApiToken.directory_id.is_(None))
_FEED = (
    select(
        ApiToken.id, ApiToken.public_id, ApiToken.kind, ApiToken.name, ApiToken.beginning, ApiToken.scope_list,
        ApiToken.networks, ApiToken.created_at, ApiToken.expires_at, ApiToken.last_used_at, ApiToken.revoked_at,
        _OWNER.public_id.label("person"), _OWNER.name.label("person_name"),
        _ENDER.public_id.label("ended_by"), _ENDER.name.label("ended_by_name"),
    )
    .outerjoin(_OWNER, _OWNER.id == ApiToken.person_id)
    .outerjoin(_ENDER, _ENDER.id == ApiToken.revoked_by_id)
)  # fmt: skip


def feed(
    *, person: int | None, services: bool, in_use: bool | None = None, now: datetime, after: int | None = None,
    limit: int,
) -> Sequence[Any]:  # fmt: skip
    """As programs list tokens: rows of this person's and, with `services`, those of services; newest first, up to
    `limit`, from the one after this id on; one statement. `in_use`: only those, or only those that have ended."""
    whose = [ApiToken.person_id == person] if person is not None else []
    query = _FEED.where(or_(false(), *whose, *([_OF_A_SERVICE] if services else [])))
    if in_use is not None:
        works = and_(ApiToken.revoked_at.is_(None), ApiToken.expires_at > now)
        query = query.where(works if in_use else ~works)
    if after is not None:
        query = query.where(ApiToken.id < after)
    return read(query.order_by(ApiToken.id.desc()).limit(limit), {}).all()


def line(id: int) -> Any:
    """The row of one token, as in `feed`."""
    return read(_FEED.where(ApiToken.id == id), {}).one()


def one(public_id: str) -> ApiToken | None:
    return db.session.scalar(select(ApiToken).where(ApiToken.public_id == public_id))


@dataclass(frozen=True, slots=True)
class InUse:
    """How many tokens people have in use, how many people that are, and how many of the tokens can decide."""

    tokens: int
    people: int
    deciding: int


def in_use_of_people(*, now: datetime) -> InUse:
    rows = db.session.execute(
        select(ApiToken.person_id, ApiToken.scope_list).where(ApiToken.kind == "person", *_in_use(now))
    ).all()
    deciding = sum(Scope.DECIDE in parse_scopes(row.scope_list) for row in rows)
    return InUse(len(rows), len({row.person_id for row in rows}), deciding)


def token_line(public_id: str) -> TokenLine | None:
    """A token of anyone, in use or not."""
    found = _lines(ApiToken.public_id == public_id)
    return found[0] if found else None


# Further ones are not read: the person who searches has to type more of the token.
FOUND = 10


def beginning_with(given: str, *, now: datetime) -> list[TokenLine]:
    """The tokens that this whole token, or these first characters, can be: those in use, else those that have ended."""
    if tokens.is_well_formed(given):
        same: ColumnElement[bool] = ApiToken.hash == tokens.digest(given)
    else:
        shown = tokens.beginning(given)
        # Not LIKE, which takes "a" for "A" on SQLite.
        same = func.substr(ApiToken.beginning, 1, len(shown)) == shown
    found = _lines(same, *_in_use(now), limit=FOUND)
    return found or _lines(same, limit=FOUND)


def _in_use(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return ApiToken.revoked_at.is_(None), ApiToken.expires_at > now


_LINES = (
    select(ApiToken, _OWNER, _ENDER)
    .outerjoin(_OWNER, _OWNER.id == ApiToken.person_id)
    .outerjoin(_ENDER, _ENDER.id == ApiToken.revoked_by_id)
)


def _lines(*conditions: ColumnElement[bool], limit: int | None = None) -> list[TokenLine]:
    rows = db.session.execute(
        _LINES.where(*conditions).order_by(ApiToken.id.desc()).limit(limit),
        execution_options={"populate_existing": True},
    )
    return [TokenLine(row.ApiToken, row.owner, row.ender) for row in rows]
