"""An owner or an admin grants access to an app without a request, and removes it."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response, abort, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock
from webapp.extensions import db
from webapp.models import Grant, Person, PolicyRevision
from webapp.operations import grants as operations
from webapp.operations.errors import Conflict, Invalid
from webapp.queries import app_list, holders, principals
from webapp.queries.app_list import AppRow
from webapp.web import error_pages, htmx
from webapp.web.reauth import require_recent_password
from webapp.web.signin import me, owners_of_app
from webapp.workflow.entitlements import as_typed
from webapp.workflow.errors import BadValues

from . import picker
from .app_activity import here, people_of
from .views import bp, commit, fragment, go, undo

NOBODY = "Choose a person."


@bp.get("/apps/<public_id>/grants/new")
@owners_of_app
def new_grant(public_id: str) -> Response:
    """The form: first the person, then the fields and the reason."""
    return _form(_load(public_id), request.args.get("person", ""), status=200)


def _form(
    row: AppRow,
    chosen: str,
    *,
    status: int,
    given: Mapping[str, Sequence[str]] | None = None,
    reason: str = "",
    errors: Mapping[str, str] | None = None,
    refused: str = "",
) -> Response:
    person = principals.chosen(chosen) if chosen.startswith("person:") else None
    if person is None:
        values: dict[str, Any] = {"pick": picker.picked(), "person_error": NOBODY if chosen else ""}
    else:
        policy = row.policy
        sheet = policy.sheet_for_grant(policy.defaults())
        typed = given or {}
        values = {
            "sheet": sheet,
            "access": holders.access_to(row.app.id, person.id),
            "typed": {
                one.entitlement.id: typed[one.entitlement.id]
                if one.entitlement.id in typed
                else as_typed(one.current.value if one.current else None)
                for one in sheet.writable
            },
        }
    return fragment(
        "admin/app_people.html", status, giving=True, chosen=person, rules=_revision(row).number,
        reason=reason, errors=errors or {}, refused=refused, **values, **people_of(row),
    )  # fmt: skip


@bp.post("/apps/<public_id>/grants")
@owners_of_app
@require_recent_password
def create_grant(public_id: str) -> AnyResponse:
    """Grant access. `rules` is the revision that the fields were drawn with."""
    row, chosen = _load(public_id), request.form.get("person", "")
    named = principals.chosen(chosen) if chosen.startswith("person:") else None
    if named is None:
        return _form(row, chosen or "person:", status=422)
    person = db.session.get_one(Person, named.id)
    revision = _revision(row)
    reason = request.form.get("reason", "")
    given = {one.id: request.form.getlist(f"field-{one.id}") for one in row.policy.entitlements}

    def again(status: int, errors: Mapping[str, str], refused: str = "") -> Response:
        undo()
        return _form(
            _load(public_id), chosen, status=status, given=given, reason=reason, errors=errors, refused=refused
        )

    try:
        if request.form.get("rules") != str(revision.number):
            raise Conflict(f"The rules of {row.app.name} have just changed. Check the fields, then grant access again.")
        operations.give(row.app, revision, person=person, actor=me(), given=given, reason=reason, now=clock.now())
    except Invalid as error:
        return again(422, error.fields)
    except BadValues as error:
        return again(422, {f"field-{key}": words for key, words in error.fields.items()})
    except Conflict as error:
        return again(409, {}, str(error))
    commit()
    return go(
        url_for("admin.app_people", public_id=public_id),
        f"{person.name} has access to {row.app.name} and has been notified.",
    )


@bp.get("/apps/<public_id>/grants/<grant_id>/removal")
@owners_of_app
def app_removal(public_id: str, grant_id: str) -> Response:
    """The dialog that asks for the reason of a removal."""
    return _removal(_load(public_id), grant_id, 200)


def _removal(row: AppRow, grant_id: str, status: int, **typed: object) -> Response:
    holder = holders.grant(row.app.id, grant_id) or abort(404)
    if htmx.is_fragment():
        return fragment("admin/_app_removal.html", status, app=row.app, holder=holder, list_query=here(), **typed)
    return fragment("admin/app_people.html", status, modal="removal", holder=holder, **people_of(row), **typed)


@bp.post("/apps/<public_id>/grants/<grant_id>/removal")
@owners_of_app
@require_recent_password
def remove_app_grant(public_id: str, grant_id: str) -> AnyResponse:
    """Remove access, with a reason; redirect to the same page of the list."""
    row = _load(public_id)
    grant = db.session.query(Grant).filter_by(public_id=grant_id, app_id=row.app.id).first() or abort(404)
    back = url_for("admin.app_people", public_id=public_id) + here().query
    reason = request.form.get("reason", "")
    try:
        operations.remove(grant, actor=me(), reason=reason, now=clock.now())
    except Invalid as error:
        undo()
        return _removal(row, grant_id, 422, reason=reason, errors=error.fields)
    except Conflict as error:
        undo()
        return error_pages.answer(409, str(error), next_url=back, next_label=f"Back to {row.app.name}")
    commit()
    name = db.session.get_one(Person, grant.person_id).name
    return go(back, f"Access to {row.app.name} removed. {name} has been notified.")


def _load(public_id: str) -> AppRow:
    return app_list.row(public_id) or abort(404)


def _revision(row: AppRow) -> PolicyRevision:
    return db.session.get_one(PolicyRevision, row.app.policy_revision_id)
