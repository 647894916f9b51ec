"""Settings, API: the tokens of services, whether people may make their own, and the end of one that leaked."""

from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import Any

from flask import Response, abort, flash, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock, tokens
from webapp.extensions import db, settings
from webapp.models import ApiToken, Organisation
from webapp.operations import organisation as company
from webapp.operations import tokens as operations
from webapp.operations.errors import Conflict, Invalid
from webapp.queries import tokens as queries
from webapp.queries.tokens import TokenLine
from webapp.record import entries
from webapp.record.sentences import describe
from webapp.web import htmx, token_forms
from webapp.web.presentation import now, times
from webapp.web.reauth import require_recent_password
from webapp.web.security import hide_from_caches_and_referers
from webapp.web.signin import admins, me
from webapp.web.token_forms import TokenForm

from . import filters
from .views import bp, commit, fragment, go, list_query, undo

# Ended tokens of services stay in the list so long, and so far back goes what a token did.
RECENT = timedelta(days=30)
PARTS = ("allowed", "days", "signed-in")


@bp.get("/api")
@admins
def api() -> Response:
    """The address, the tokens of services, and what people's tokens may do."""
    return _page()


@bp.post("/api/people/<part>")
@admins
@require_recent_password
def change_token_rules(part: str) -> AnyResponse:
    """Saves one setting of people's tokens; `was` is the value that it was drawn with."""
    if part not in PARTS:
        abort(404)
    ours = _organisation(hold=True)
    if request.form.get("was") != _stored(ours)[part]:
        undo()
        return _people({part: "Someone else changed this. The current value is shown."}, 409)
    try:
        company.change(ours, **_typed(part), actor=me(), now=clock.now())
    except Invalid as error:
        undo()
        return _people({part: str(error)}, 422)
    commit()
    return _people({}, 200, saved=part)


def _stored(ours: Organisation) -> dict[str, str]:
    return {
        "allowed": "on" if ours.tokens_allowed else "off",
        "days": str(ours.token_days),
        "signed-in": "on" if ours.tokens_decide_signed_in else "off",
    }


def _typed(part: str) -> dict[str, Any]:
    if part == "days":
        given = request.form.get("days", "")
        return {"token_days": int(given) if given.isascii() and given.isdigit() and len(given) < 4 else 0}
    name = "tokens_allowed" if part == "allowed" else "tokens_decide_signed_in"
    return {name: request.form.get("on") == "1"}


@bp.get("/api/tokens/new")
@admins
def new_service_token() -> Response:
    """The dialog that makes a token of a service; `of` is one that it takes the place of."""
    old = _replaced(request.args.get("of", ""))
    if old is None:
        return _new(token_forms.proposed(_limit()), None, {}, 200)
    form = token_forms.proposed(_limit(), name=old.name, scopes=old.scopes, networks=old.networks)
    return _new(form, old, {}, 200)


@bp.post("/api/tokens")
@admins
@require_recent_password
def create_service_token() -> Response:
    """Makes a token of a service and shows it, once: the same form again is refused, because its name is in use."""
    old, form = _replaced(request.form.get("of", "")), token_forms.typed(_limit())
    try:
        made, secret = operations.create(
            name=form.name, scopes=form.scopes, days=form.days, networks=form.networks, actor=me(), now=clock.now(),
            unique=True, besides=old,
        )  # fmt: skip
    except Invalid as error:
        undo()
        return _new(form, _replaced(request.form.get("of", "")), error.fields, 422)
    commit()
    values: dict[str, Any] = {"made": made, "secret": secret, "old": old, "base_url": settings().base_url}
    if htmx.is_fragment():
        answer = fragment("admin/_api_token_made.html", 200, **_services(), **values)
    else:
        answer = _page(modal=True, **values)
    return hide_from_caches_and_referers(answer)


def _limit() -> int:
    return operations.days_allowed(None)


def _replaced(public_id: str) -> ApiToken | None:
    line = queries.token_line(public_id) if public_id else None
    return line.token if line is not None and line.token.is_service else None


def _new(form: TokenForm, old: ApiToken | None, errors: dict[str, str], status: int) -> Response:
    values: dict[str, Any] = {
        "form": form, "errors": errors, "choices": token_forms.choices_for_service(), "old": old,
    }  # fmt: skip
    if htmx.is_fragment():
        return fragment("admin/_new_api_token.html", status, **values)
    return _page(status, modal=True, **values)


@bp.get("/api/tokens")
@admins
def people_tokens() -> Response:
    """The tokens that people have in use."""
    where = list_query()
    page = queries.of_people(now=now(), after=where.after, before=where.before)
    return fragment("admin/api_tokens.html", page=page, list_query=where, now=now())


@dataclass(frozen=True, slots=True)
class TokenEntries:
    """The addresses of the pages of a token's entries."""

    def at(self, **key: object) -> str:
        return filters.query(key)


@bp.get("/api/tokens/<public_id>")
@admins
def api_token(public_id: str) -> Response:
    """One token, and what was done with it lately."""
    line = _line(public_id)
    wanted = entries.Filter(token=line.token.id, since=now() - RECENT)
    page = entries.page(wanted, before=filters.key("before"), after=filters.key("after"))
    days = [
        (day, [(one, describe(one, page.names, times().due)) for one in lines])
        for day, lines in groupby(page.lines, key=lambda one: times().day(one.at))
    ]
    return fragment("admin/api_token.html", line=line, page=page, days=days, search=TokenEntries(), now=now())


@bp.get("/api/tokens/<public_id>/ending")
@admins
def api_token_to_end(public_id: str) -> Response:
    """The dialog that asks before a token ends."""
    return _ending(_line(public_id), "", 200)


@bp.post("/api/tokens/<public_id>/ending")
@admins
def end_api_token(public_id: str) -> AnyResponse:
    """Ends a token of anyone, at once."""
    line = _line(public_id)
    try:
        message = token_forms.end(line.token, line.person, actor=me())
    except Conflict as error:
        undo()
        return _ending(_line(public_id), str(error), 409)
    commit()
    home = url_for("admin.api") + "#services" if line.token.is_service else url_for("admin.people_tokens")
    return go(home, message)


def _ending(line: TokenLine, refused: str, status: int) -> Response:
    if htmx.is_fragment():
        return fragment("admin/_api_token_ending.html", status, ending=line, refused=refused)
    return _page(status, modal=True, ending=line, refused=refused)


@bp.post("/api/leak")
@admins
def end_leaked_token() -> AnyResponse:
    """Ends the token that this is, or that begins so, and shows what was done with it."""
    moment = clock.now()
    try:
        line = token_forms.leaked(request.form.get("leaked", ""), now=moment)
    except Invalid as error:
        undo()
        return _leak(error.fields["token"])
    location = url_for("admin.api_token", public_id=line.token.public_id)
    if line.token.revoked_at is not None or line.token.expires_at <= moment:
        undo()
        flash(f"{line.token.name} had ended already. Below is what was done with it.", "done")
        return go(location)
    message = token_forms.end(line.token, line.person, actor=me(), leaked=True)
    commit()
    flash(f"{message} Below is what was done with it.", "done")
    return go(location)


def _leak(error: str) -> Response:
    """The form again. Of what may be a whole token only its first characters come back."""
    shown = tokens.beginning(tokens.found_in(request.form.get("leaked", "")))
    values = {"leaked": shown, "leak_error": error}
    return fragment("admin/_api_leak.html", 422, **values) if htmx.is_fragment() else _page(422, **values)


def _line(public_id: str) -> TokenLine:
    line = queries.token_line(public_id)
    if line is None:
        abort(404)
    return line


def _organisation(*, hold: bool = False) -> Organisation:
    return db.session.get_one(Organisation, 1, populate_existing=True, with_for_update=hold)


def _services() -> dict[str, Any]:
    return {"services": queries.of_services(since=now() - RECENT), "now": now()}


def _rules(errors: dict[str, str], saved: str) -> dict[str, Any]:
    ours = _organisation()
    return {
        "ours": ours,
        "was": _stored(ours),
        "in_use": queries.in_use_of_people(now=now()),
        "token_days": company.TOKEN_DAYS,
        "rule_errors": errors,
        "saved_rule": saved,
    }


def _people(errors: dict[str, str], status: int, saved: str = "") -> AnyResponse:
    """The settings of people's tokens, after one of them was saved or refused."""
    if htmx.is_fragment():
        return fragment("admin/_api_people.html", status, **_rules(errors, saved))
    if errors:
        return _page(status, rule_errors=errors)
    return go(url_for("admin.api") + "#people", "Saved.")


def _page(status: int = 200, **values: Any) -> Response:
    shown = {**_services(), **_rules({}, ""), "base_url": settings().base_url, "leaked": "", "leak_error": ""}
    return fragment("admin/api.html", status, **{**shown, **values})
