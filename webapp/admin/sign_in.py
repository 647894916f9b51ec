"""Settings, Sign-in: the providers of single sign-on, and who may use a password."""

from datetime import date
from typing import Any

from flask import Response, abort, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock
from webapp.extensions import settings
from webapp.models import Group, Provider
from webapp.operations import organisation as company
from webapp.operations import providers as operations
from webapp.operations.errors import Conflict, Invalid
from webapp.queries import identities as queries
from webapp.queries.organisation import load
from webapp.text import clean, one_line
from webapp.web import provider_health
from webapp.web.reauth import require_recent_password
from webapp.web.signin import admins, me

from .forms import stamp
from .views import bp, commit, fragment, go, undo

CHANGED = "Someone else changed this. What you entered is still here. Save again to overwrite it."
CHANGED_BY_ANOTHER = "Someone else changed this. The current value is shown."
CONNECTION = ("name", "issuer", "client_id", "scopes", "acr_values")
# A secret that ends so soon is shown.
DAYS_TO_WARN = 30


@bp.get("/sign-in")
@admins
def sign_in() -> Response:
    """The providers in the order of their buttons, and who may use a password."""
    return _list(200)


@bp.post("/sign-in/passwords")
@admins
@require_recent_password
def change_passwords() -> AnyResponse:
    """Who may sign in with a password. `was` is what the form was drawn with."""
    form, found = request.form, queries.passwords()
    chosen = {"passwords": form.get("passwords", ""), "emergency": form.getlist("emergency")}
    if form.get("was") != _passwords_stamp(found):
        return _list(409, chosen, CHANGED)
    try:
        operations.change_passwords(
            for_all=chosen["passwords"] != "emergency", emergency=form.getlist("emergency"), actor=me(), now=clock.now()
        )
    except Invalid as error:
        undo()
        return _list(422, chosen, str(error))
    commit()
    return go(url_for("admin.sign_in"), "Saved.")


@bp.post("/sign-in/second-step")
@admins
@require_recent_password
def change_second_step() -> AnyResponse:
    """Whether admins must have a second step. `was` is what the form was drawn with."""
    ours = load(hold=True)
    if request.form.get("was") != ("on" if ours.second_step_for_admins else "off"):
        undo()
        return _list(409, second_step_error=CHANGED_BY_ANOTHER)
    company.change(ours, second_step_for_admins=request.form.get("on") == "1", actor=me(), now=clock.now())
    commit()
    return go(url_for("admin.sign_in"), "Saved.")


def _list(status: int, chosen: dict[str, Any] | None = None, error: str = "", second_step_error: str = "") -> Response:
    lines, passwords = queries.all_of(), queries.passwords()
    drawn = chosen or {
        "passwords": "all" if passwords.for_all else "emergency",
        "emergency": [one.public_id for one in passwords.emergency],
    }
    return fragment(
        "admin/sign_in.html",
        status,
        lines=lines,
        troubles=provider_health.troubles(line.provider.public_id for line in lines),
        passwords=passwords,
        chosen=drawn,
        error=error,
        second_step=load().second_step_for_admins,
        second_step_error=second_step_error,
        was=_passwords_stamp(passwords),
    )


def _passwords_stamp(found: queries.Passwords) -> str:
    return stamp({"all": str(found.for_all), "emergency": " ".join(one.public_id for one in found.emergency)})


# ---------- A new provider ----------


@bp.get("/sign-in/new")
@admins
def new_provider() -> Response:
    """The form for a new provider."""
    return fragment("admin/provider_new.html", values={"scopes": "openid profile email"}, errors={})


@bp.post("/sign-in")
@admins
@require_recent_password
def create_provider() -> AnyResponse:
    """Adds a provider, which has no button until it is switched on."""
    values = {key: one_line(request.form.get(key, "")) for key in ("name", "issuer", "client_id")}
    try:
        made = operations.create(
            **values, client_secret=request.form.get("client_secret", ""), actor=me(), now=clock.now()
        )
    except Invalid as error:
        undo()
        # The secret is not on the page that comes back.
        again = (
            {"client_secret": "Enter the secret again. It is not kept."} if request.form.get("client_secret") else {}  # nosec
        )
        return fragment("admin/provider_new.html", 422, values=values, errors=again | error.fields)
    location = url_for("admin.provider", public_id=made.public_id)
    commit()
    return go(location, f"{values['name']} added. Test the connection, then switch it on.")


# ---------- One provider ----------


@bp.get("/sign-in/<public_id>")
@admins
def provider(public_id: str) -> Response:
    """Its connection, what happens to people who come from it, and its groups."""
    return _page(_load(public_id), 200)


@bp.post("/sign-in/<public_id>")
@admins
@require_recent_password
def change_provider(public_id: str) -> AnyResponse:
    """The connection. An empty secret leaves the one that is stored."""
    form, row = request.form, _load(public_id)
    values: dict[str, Any] = {key: one_line(form.get(key, "")) for key in CONNECTION}
    if form.get("was") != _stamp(row):
        return _page(row, 409, values, {"name": CHANGED})
    secret = form.get("client_secret", "") or None
    try:
        ends_on = _day(form.get("secret_ends_on", ""))
        if secret is None and form.get("secret_ends_on", "") != _ends_on(row):
            raise Invalid(client_secret="Enter the new secret together with the day on which it ends.")  # nosec
        operations.change(row, **values, client_secret=secret, secret_ends_on=ends_on, actor=me(), now=clock.now())
    except Invalid as error:
        undo()
        return _page(_load(public_id), 422, values, error.fields)
    commit()
    return go(url_for("admin.provider", public_id=public_id), "Saved.")


@bp.post("/sign-in/<public_id>/people")
@admins
@require_recent_password
def change_provider_people(public_id: str) -> AnyResponse:
    """What happens to people who come from it, and where their groups stand."""
    form, row = request.form, _load(public_id)
    values: dict[str, Any] = {
        "creates_people": form.get("creates_people") == "1",
        "links_by_email": form.get("links_by_email") == "1",
        "domains": clean(form.get("domains", "")),
        "groups_claim": one_line(form.get("groups_claim", "")),
    }
    group = _group(form.get("default_group", ""))
    if form.get("was") != _stamp(row):
        return _page(row, 409, values, {"domains": CHANGED})
    try:
        operations.change(row, **values, default_group=group, without_group=group is None, actor=me(), now=clock.now())
    except Invalid as error:
        undo()
        return _page(_load(public_id), 422, values, error.fields)
    commit()
    return go(url_for("admin.provider", public_id=public_id) + "#people", "Saved.")


@bp.post("/sign-in/<public_id>/state")
@admins
@require_recent_password
def switch_provider(public_id: str) -> AnyResponse:
    """Shows its button on the sign-in page, or no longer."""
    row, on = _load(public_id), request.form.get("on") == "1"
    operations.switch(row, on=on, actor=me(), now=clock.now())
    name = row.name
    commit()
    words = f"{name} has a button on the sign-in page now." if on else f"Nobody can sign in with {name} any more."
    return go(url_for("admin.provider", public_id=public_id), words)


@bp.post("/sign-in/<public_id>/groups")
@admins
@require_recent_password
def add_provider_group(public_id: str) -> AnyResponse:
    """A new row of the table of groups."""
    row, group = _load(public_id), _group(request.form.get("group", ""))
    values = {"value": one_line(request.form.get("value", "")), "group": request.form.get("group", "")}
    try:
        if group is None:
            raise Invalid(group="Choose a group.")
        operations.add_group(row, group, value=values["value"], actor=me(), now=clock.now())
    except Invalid as error:
        undo()
        return _page(_load(public_id), 422, values, error.fields)
    commit()
    return go(url_for("admin.provider", public_id=public_id) + "#groups", "Row added.")


@bp.post("/sign-in/<public_id>/groups/<row_id>/removal")
@admins
@require_recent_password
def remove_provider_group(public_id: str, row_id: str) -> AnyResponse:
    """Removes a row; members stay as they are."""
    try:
        operations.remove_group(_load(public_id), row_id, actor=me(), now=clock.now())
    except Conflict as error:
        undo()
        return go(url_for("admin.provider", public_id=public_id) + "#groups", str(error))
    commit()
    return go(url_for("admin.provider", public_id=public_id) + "#groups", "Row removed. Its members stay.")


def _load(public_id: str) -> Provider:
    row = queries.by_public_id(public_id)
    if row is None:
        abort(404)
    return row


def _group(public_id: str) -> Group | None:
    return next((one for one in queries.groups() if one.public_id == public_id), None)


def _day(given: str) -> date | None:
    try:
        return date.fromisoformat(given) if given else None
    except ValueError:
        raise Invalid(secret_ends_on="Enter a day, for example 2027-12-31.") from None  # nosec


def _ends_on(row: Provider) -> str:
    return row.secret_ends_on.isoformat() if row.secret_ends_on else ""


def _values(row: Provider) -> dict[str, Any]:
    groups = {one.id: one.public_id for one in queries.groups()}
    return {
        **{key: getattr(row, key) for key in (*CONNECTION, "creates_people", "links_by_email", "groups_claim")},
        "domains": ", ".join(row.domains.split()),
        "default_group": groups.get(row.default_group_id or 0, ""),
        "secret_ends_on": _ends_on(row),
    }


def _stamp(row: Provider) -> str:
    return stamp({key: str(value) for key, value in _values(row).items()})


def _page(
    row: Provider, status: int, typed: dict[str, Any] | None = None, errors: dict[str, str] | None = None
) -> Response:
    days_left = (row.secret_ends_on - clock.now().date()).days if row.secret_ends_on else None
    base = f"{settings().base_url}/sso/{row.public_id}"
    return fragment(
        "admin/provider.html",
        status,
        provider=row,
        values={"value": "", "group": "", **_values(row), **(typed or {})},
        errors=errors or {},
        was=_stamp(row),
        rows=queries.group_rows(row),
        groups=[(one.public_id, one.name) for one in queries.groups()],
        linked=queries.linked_count(row),
        fault=provider_health.troubles([row.public_id]).get(row.public_id),
        ends_in=days_left if days_left is not None and days_left <= DAYS_TO_WARN else None,
        redirect_uri=f"{base}/callback",
        logout_uri=f"{base}/back-channel-logout",
    )
