"""The catalog: find an app, add it or request it."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, abort, flash, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from webapp import approval_chain, wording
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import App, Icon, PolicyRevision
from webapp.operations import grants, requests
from webapp.operations.errors import Conflict, Invalid, TooOften
from webapp.queries import catalog, directory, self_opened
from webapp.queries.chains import Who
from webapp.runtime import trace
from webapp.text import capital, clean, whole_number
from webapp.times import span
from webapp.web import access, error_pages, htmx
from webapp.web.presentation import now, times
from webapp.web.security import uploaded_picture
from webapp.web.signin import anyone, me, people
from webapp.wording import count
from webapp.workflow.approvers import require_deciders, who_decides
from webapp.workflow.entitlements import Sheet, as_typed
from webapp.workflow.errors import BadValues, NobodyCanDecide
from webapp.workflow.policy import MESSAGE_LIMIT, Policy
from webapp.workflow.states import Tier

bp = Blueprint("catalog", __name__)


@bp.get("/catalog")
@people
def page() -> AnyResponse | str:
    """The apps that the person may add or request, by category or by words in name, description and category."""
    q = clean(request.args.get("q", ""))[:80]
    category = clean(request.args.get("category", ""))
    found = catalog.cards(me().id, words=q.split()[:6], category=category, after=_key(request.args.get("after", "")))
    cards, more = found[: catalog.PAGE], len(found) > catalog.PAGE
    context: dict[str, Any] = {
        "cards": cards,
        "footers": _footers(cards),
        "after": _after(cards[-1].key) if more else "",
        "q": q,
        "category": category,
    }
    if htmx.is_fragment() and request.args.get("after"):
        return render_template("catalog/_more.html", **context)
    if htmx.is_fragment():
        return render_template("catalog/_results.html", **context)
    categories = catalog.categories(me().id)
    return render_template(
        "catalog/page.html", categories=categories, total=sum(number for _, number in categories), **context
    )


@bp.post("/catalog/<public_id>/grant")
@people
def add(public_id: str) -> AnyResponse | str:
    """Grants the person an app that needs no approval."""
    app, revision = access.app_in_catalog(public_id, me())
    # Others than admins always have an admin to ask, so they are refused.
    opened = self_opened.find(app, revision, me().id) if me().is_admin else None
    try:
        grants.add_directly(app, revision, actor=me(), now=now())
    except Conflict as error:
        return _conflict(app, str(error))
    outbox.commit()
    sentence = f"{app.name} added to your dashboard."
    if opened is not None:
        sentence += (
            f" You {opened.did} and there is no other owner or admin, so this is marked in the audit log. "
            "Make someone else an admin, so that two people can check each other."
        )
    if htmx.is_fragment():
        return _card_with_toast(app, sentence, href="/", label="View")
    flash(sentence)
    return redirect(f"/catalog#app-{public_id}", 303)


@bp.get("/catalog/<public_id>/request")
@people
def ask(public_id: str) -> AnyResponse | str:
    """The dialog to request an app; `again` names an earlier request whose reason and fields it takes over."""
    app, revision = access.app_in_catalog(public_id, me())
    if not revision.snapshot().approval_required:
        return _conflict(app, f"{app.name} does not need approval. Select Add in the catalog to get access.")
    message, given = _earlier_values(clean(request.args.get("again", "")), app)
    return _dialog(app, revision, message=message, given=given, errors={}, status=200)


@bp.post("/catalog/<public_id>/request")
@people
def submit(public_id: str) -> AnyResponse | str:
    """Submits the request."""
    app, revision = access.app_in_catalog(public_id, me())
    message = request.form.get("message", "")
    given = {one.id: request.form.getlist(f"field-{one.id}") for one in revision.snapshot().entitlements}
    try:
        made = requests.submit(app, revision, actor=me(), message=message, given=given, now=now())
    except Invalid as error:
        return _refused(app, revision, message, given, error.fields)
    except BadValues as error:
        return _refused(app, revision, message, given, {f"field-{key}": words for key, words in error.fields.items()})
    except NobodyCanDecide as error:
        return _refused(app, revision, message, given, {"form": str(error)}, status=409)
    except TooOften as error:
        return _refused(app, revision, message, given, {"message": str(error)}, status=409)
    except Conflict as error:
        return _conflict(app, str(error))
    outbox.commit()
    trace.about(access_request=made.public_id)
    sentence = f"Request for {app.name} sent."
    if htmx.is_fragment():
        return _card_with_toast(app, sentence, href=f"/requests/{made.public_id}", label="View request")
    flash(sentence)
    return redirect(f"/requests/{made.public_id}", 303)


@bp.get("/apps/<public_id>/icon")
@anyone
def icon(public_id: str) -> Response:
    """The uploaded picture of an app, at the address that `App.icon_url` gives it.

    For anyone, because pages behind approval links show it, too; its address cannot be guessed.
    """
    found = (
        db.session.query(Icon.body, Icon.content_type, Icon.sha256)
        .join(App, App.icon_id == Icon.id)
        .filter(App.public_id == public_id)
        .first()
    )
    if found is None or request.args.get("v") != found.sha256[:16]:
        abort(404)
    return uploaded_picture(found.body, found.content_type, "icon.webp")


def _conflict(app: App, sentence: str) -> AnyResponse:
    """Roll back; respond with the reason, where to go next, and the app's card as it is now."""
    db.session.rollback()
    cards = catalog.cards(me().id, public_id=app.public_id)
    request_id = cards[0].request if cards else ""
    return error_pages.answer(
        409, sentence,
        next_url=f"/requests/{request_id}" if request_id else f"/catalog#app-{app.public_id}",
        next_label="View your request" if request_id else "Back to the catalog",
        also=render_template("catalog/_cards.html", cards=cards, footers=_footers(cards), beside=True),
    )  # fmt: skip


def _refused(
    app: App,
    revision: PolicyRevision,
    message: str,
    given: Mapping[str, Sequence[str]],
    errors: dict[str, str],
    status: int = 422,
) -> AnyResponse:
    db.session.rollback()
    return _dialog(app, revision, message=message, given=given, errors=errors, status=status)


def _dialog(
    app: App,
    revision: PolicyRevision,
    *,
    message: str,
    given: Mapping[str, Sequence[str]],
    errors: dict[str, str],
    status: int,
) -> AnyResponse:
    policy = revision.snapshot()
    nodes, first, note, refusal = _plan(app, policy)
    values = policy.defaults()
    sheet: Sheet = policy.sheet_for_requester(values)
    typed = {
        one.entitlement.id: given[one.entitlement.id]
        if one.entitlement.id in given  # a field that was emptied stays empty
        else as_typed(one.current.value if one.current else None)
        for one in sheet.writable
    }
    context = {
        "app": app, "policy": policy, "sheet": sheet, "typed": typed, "message": message, "errors": errors,
        "nodes": nodes, "first": first, "note": note, "refusal": errors.get("form", refusal), "limit": MESSAGE_LIMIT,
    }  # fmt: skip
    return htmx.dialog("catalog", "request", status, **context)


def _plan(app: App, policy: Policy) -> tuple[list[approval_chain.ChainNode], str, str, str]:
    """Return (nodes, first_approver, usual_time, refusal). With a refusal, first_approver and usual_time are ""."""
    person = me()
    found = directory.look_up([*(step.approver for step in policy.steps), app.owner])
    deciders = [
        who_decides(step.approver, owner=app.owner, directory=found.directory, without=frozenset({person.id}))
        for step in policy.steps
    ]
    names = catalog.names_of([step.approver for step in policy.steps])
    plan, first, usual = [], "", ""
    for position, (step, who) in enumerate(zip(policy.steps, deciders, strict=True)):
        contacts = [found.contacts[one] for one in who.people]
        if who.tier is Tier.NOBODY:
            plan.append(("group", wording.NO_APPROVER, "nobody", "An admin must set an approver"))
            continue
        if who.tier is Tier.APPROVER and step.approver.group is None:
            mark, name, public = "face", contacts[0].name, contacts[0].public_id
            first_name = names[step.approver]
        else:
            name = names.get(step.approver, "") if who.tier is Tier.APPROVER else capital(wording.holder(who.tier, ""))
            mark, public, first_name = "group", name, name
        days = policy.days_for(position)
        if position == 0:
            line = f"Due {times().due_short(now() + timedelta(days=days))}"
            first = first_name
            seconds = catalog.usual_seconds(who.people, step.approver.group) if who.people else None
            usual = f"{first_name} usually decides within {span(seconds)}." if seconds else ""
        else:
            line = f"Up to {count(days, 'more day', 'more days')}"
        plan.append((mark, name, public, line))
    nodes = approval_chain.planned(
        app=app, requester=Who(person.id, person.public_id, person.name), steps=plan, times=times()
    )
    try:
        require_deciders(
            tuple(step.approver for step in policy.steps), owner=app.owner, directory=found.directory,
            without=frozenset({person.id}),
        )  # fmt: skip
    except NobodyCanDecide as error:
        return nodes, "", "", str(error)
    return nodes, first, usual, ""


def _earlier_values(public_id: str, app: App) -> tuple[str, dict[str, list[str]]]:
    """The reason and the fields of an earlier request of the person for the same app."""
    if not public_id:
        return "", {}
    case = access.own_request(public_id, me())
    if case.app.id != app.id:
        return "", {}
    return case.request.message, {key: as_typed(one.value) for key, one in case.request.values.items()}


def _card_with_toast(app: App, sentence: str, *, href: str, label: str) -> str:
    cards = catalog.cards(me().id, public_id=app.public_id)
    return render_template(
        "catalog/_card_and_toast.html", card=cards[0], footers=_footers(cards), sentence=sentence, href=href,
        label=label,
    )  # fmt: skip


def _footers(cards: Sequence[catalog.Card]) -> dict[str, str]:
    """The footer text of each card: approvers, the current holder and deadline, or when it was added."""
    approvers = [step.approver for card in cards if card.state == "request" for step in card.policy.steps]
    holders = [card.holder for card in cards if card.holder is not None]
    names = catalog.names_of(approvers + holders)
    return {card.app.public_id: _footer(card, names) for card in cards}


def _footer(card: catalog.Card, names: Mapping[Any, str]) -> str:
    if card.state == "added" and card.added_at is not None:
        return f"Added {times().ago(card.added_at)}"
    if card.state == "requested":
        return _waiting_text(card, names)
    if card.state == "add":
        return "No approval needed"
    steps = [names.get(step.approver, "someone") for step in card.policy.steps]
    if not steps:
        return "No approver yet"
    if len(steps) == 1:
        return f"Approval by {steps[0]}"
    if len(steps) == 2:
        return f"Approval by {steps[0]}, then {steps[1]}"
    return f"Approval by {steps[0]} and {len(steps) - 1} others"


def _waiting_text(card: catalog.Card, names: Mapping[Any, str]) -> str:
    if card.tier == Tier.NOBODY.value or card.holder is None or card.due_at is None:
        return wording.NO_APPROVER
    who = wording.waiting_for(card.tier, names.get(card.holder, "someone"))
    return f"{who}, {wording.due(times().due_short(card.due_at))}"


def _key(after: str) -> tuple[int, str, int] | None:
    """The key after which the next page begins, from "id:rank:sort key"."""
    id, _, rest = clean(after).partition(":")
    rank, _, sort_key = rest.partition(":")
    number = whole_number(id)
    return (int(rank), sort_key, number) if number is not None and rank in ("0", "1") else None


def _after(key: tuple[int, str, int]) -> str:
    rank, sort_key, id = key
    return f"{id}:{rank}:{sort_key}"
