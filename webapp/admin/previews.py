"""The mail of an outcome before anybody gets it, with real names and the rule in force.

Its facts are made up here and never stored: nothing is written or sent.
"""

from datetime import timedelta

from flask import Response, abort, request

from webapp import mail
from webapp.models import AccessRequest, App, Notice, Person
from webapp.presentation import now
from webapp.queries import rules
from webapp.queries.admin import Named
from webapp.queries.chains import ChainStep, Who
from webapp.queries.mails import Facts
from webapp.signin import admins, me
from webapp.workflow.policy import Policy
from webapp.workflow.states import RequestState, StepState

from . import apps
from .forms import AppPage
from .views import bp, fragment

# A request that there is not.
NO_REQUEST = "0" * 12


@bp.get("/apps/<public_id>/outcomes/<state>/mail")
@admins
def preview_mail(public_id: str, state: str) -> Response:
    """To `to`: the requester, an approver, or another address. The one who looks plays the requester."""
    to = request.args.get("to", "requester")
    if state not in apps.OUTCOMES or to not in ("requester", "approver", "other"):
        abort(404)
    page = apps.load(public_id)
    message = mail.render(_facts(page, RequestState(state), to)) if page.steps else None
    return fragment(
        "admin/mail_preview.html", app=page.row.app, state=state, to=to, message=message
    )  # fmt: skip


def _facts(page: AppPage, state: RequestState, role: str) -> Facts:
    reader, app, policy = me(), page.row.app, page.row.policy
    steps = [_step(at, one, state, _members(page, one)) for at, one in enumerate(page.steps) if one is not None]
    person: Person | None = reader
    if role == "other":
        person = None
    elif role == "approver":
        who = steps[0].asked[0]
        person = Person(
            id=who.id, public_id=who.public_id, name=who.name, email=reader.email, time_zone=reader.time_zone
        )
    notice = Notice(
        public_id=NO_REQUEST, kind=f"request-{state.value}", role=role, round=0, data_json="{}", created_at=now(),
        address="somebody@example.com" if person is None else None,
    )  # fmt: skip
    return Facts(
        notice, rules.organisation(), person, app, policy, _request(app, policy, state, reader), reader, reader,
        None, None, steps=steps, names={reader.id: reader.name}, owner=page.row.owner.name if page.row.owner else "",
    )  # fmt: skip


def _request(app: App, policy: Policy, state: RequestState, asker: Person) -> AccessRequest:
    made = AccessRequest(
        id=0, public_id=NO_REQUEST, app_id=app.id, asked_by_id=asker.id, for_person_id=asker.id,
        message="What they wrote when they asked.", state=state.value, version=1,
        created_at=now() - timedelta(days=1), settled_at=now(), settled_by_id=None, settled_note="",
    )  # fmt: skip
    made.values = policy.defaults()
    return made


def _step(at: int, named: Named, state: RequestState, members: tuple[str, ...]) -> ChainStep:
    """Approved: everybody said yes. Denied or expired: it ended with the first step."""
    ended = {RequestState.DENIED: StepState.DENIED, RequestState.EXPIRED: StepState.EXPIRED}.get(state)
    step_state = StepState.APPROVED if ended is None else ended if at == 0 else StepState.SKIPPED
    who = Who(-1 - at, named.public_id, members[0] if named.is_group and members else named.name)
    step = ChainStep(
        id=at, request_id=0, position=at, state=step_state.value, tier="approver", due_at=now(),
        opened_at=now() - timedelta(days=1) if at == 0 else None, settled_at=now(), overdue=False,
        person=None if named.is_group else who, group_id=named.id if named.is_group else None,
        group_public_id=named.public_id if named.is_group else "", group_name=named.name if named.is_group else "",
        asked=[who], asked_count=1,
    )  # fmt: skip
    if step_state in (StepState.APPROVED, StepState.DENIED):
        step.decided_by, step.decided_at, step.channel = who, now(), "browser"
        step.verdict = step_state.value
        step.comment = "Why they said no." if step_state is StepState.DENIED else ""
    return step


def _members(page: AppPage, named: Named) -> tuple[str, ...]:
    found = page.members.get(named.id) if named.is_group else None
    return tuple(found.names) if found is not None else ()
