"""An app's typed fields: made, edited, ordered, archived and restored, in the rows and in the rule alike."""

from __future__ import annotations

import json
import re

import pytest
from sqlalchemy import select

from tests import factories
from webapp.extensions import db
from webapp.models import EntitlementField
from webapp.workflow.policy import Approver
from webapp.workflow.states import Visibility

from .admin_helpers import events, flat, is_fragment, now, policy_of, words

CHOICE = {"name": "Licence", "kind": "choice", "options": "Standard\r\nDeveloper", "setter": "nobody"}


@pytest.fixture
def admin(login_as, adam):
    return login_as(adam)


@pytest.fixture
def app_(ana):
    return factories.app("Salesforce", ana)


def url(app):
    return f"/admin/apps/{app.public_id}/fields"


def rows(app):
    db.session.rollback()
    return db.session.scalars(
        select(EntitlementField).where(EntitlementField.app_id == app.id).order_by(EntitlementField.position)
    ).all()


def made(admin, app, **changes):
    assert admin.post(url(app), CHOICE | changes).status_code == 303
    return rows(app)[-1].public_id


def in_step(app):
    """What is edited and what is frozen are the same."""
    plain = [
        (one.public_id, one.name, one.kind, tuple(json.loads(one.options)), one.required, one.help, one.requester)
        for one in rows(app)
        if one.archived_at is None
    ]
    return plain == [
        (one.id, one.name, one.kind, one.options, one.required, one.help, one.requester.value)
        for one in policy_of(app).entitlements
    ]


@pytest.mark.parametrize("htmx", [False, True])
def test_a_field_is_made_with_its_choices(admin, app_, htmx):
    answer = admin.post(url(app_), CHOICE | {"default": "Standard", "help": "Ask Finance."}, htmx=htmx)
    assert answer.status_code == (200 if htmx else 303)
    if htmx:
        assert is_fragment(answer) and "Saved" in words(answer)
        assert 'id="set-matrix" hx-swap-oob="true"' in flat(answer)
    (one,) = policy_of(app_).entitlements
    assert (one.name, one.kind, one.options, one.default) == (
        "Licence",
        "choice",
        ("Standard", "Developer"),
        "Standard",
    )
    assert in_step(app_)
    line = events("field.created")[-1]
    assert "Licence" not in str(line) and "Standard" not in str(line)


@pytest.mark.parametrize(
    ("kind", "default", "value"),
    [
        ("choices", "Developer, Standard", ["Standard", "Developer"]),
        ("text", "12-4", "12-4"),
        ("number", "2,5", 2.5),
        ("yes_no", "yes", True),
        ("yes_no", "", None),
    ],
)
def test_defaults_are_typed(admin, app_, kind, default, value):
    options = CHOICE["options"] if kind == "choices" else ""
    made(admin, app_, kind=kind, default=default, options=options)
    assert policy_of(app_).entitlements[0].default == value


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": " "}, "Please give the field a name."),
        ({"name": "n" * 81}, "A field's name can have up to 80 characters."),
        ({"options": "\n "}, "Write at least one choice, each on a line of its own."),
        ({"default": "Gold"}, "“Gold” is not one of the choices for Licence."),
        ({"kind": "number", "default": "many", "options": ""}, "Licence needs a number"),
        ({"kind": "text"}, "Only a choice and several choices have these."),
        ({"kind": "colour"}, "Choose one of these kinds."),
        ({"help": "h" * 201}, "Please keep it to 200 characters; this has 201."),
        ({"required": "1"}, "Licence is required, but nobody may set it. Let the requester or a step write it."),
    ],
)
def test_a_field_that_cannot_be_taken_is_shown_again_as_typed(admin, app_, changes, sentence):
    for htmx in (False, True):
        answer = admin.post(url(app_), CHOICE | changes, htmx=htmx)
        assert answer.status_code == 422 and is_fragment(answer) is htmx
        assert sentence in words(answer)
        assert 'aria-invalid="true"' in words(answer)
    assert rows(app_) == [] and policy_of(app_).entitlements == ()


def test_who_sets_a_new_field_is_said_at_once(admin, app_, ana):
    first = made(admin, app_, required="1", setter=f"person:{ana.public_id}")
    assert policy_of(app_).steps[0].see == {first: Visibility.WRITE}
    made(admin, app_, name="Role", required="1", setter="requester")
    assert policy_of(app_).entitlements[1].requester is Visibility.WRITE
    page = flat(admin.get(f"/admin/apps/{app_.public_id}"))
    assert "Ana Moreau sets it" in page and "the requester sets it" in page


def test_choices_that_were_typed_for_a_text_stay_to_be_seen(admin, app_):
    page = flat(admin.post(url(app_), CHOICE | {"kind": "text"}, htmx=True))
    assert "Standard Developer</textarea>" in page and "cs-options" not in page
    assert "cs-options" in flat(admin.get(f"/admin/apps/{app_.public_id}"))


def test_the_default_is_chosen_from_the_choices_commas_and_all(admin, app_):
    options = "Basic, 5 €\r\nPro, 9 €"
    one = made(admin, app_, options=options, default="Basic, 5 €")
    several = made(admin, app_, name="Extras", kind="choices", options=options, default="Pro, 9 €")
    assert [field.default for field in policy_of(app_).entitlements] == ["Basic, 5 €", ["Pro, 9 €"]]
    page = flat(admin.get(f"/admin/apps/{app_.public_id}"))
    assert '<option value="Basic, 5 €" selected>' in page
    assert re.search(r'name="default" value="Pro, 9 €" checked', page)
    data = {"name": "Plan", "options": options, "requester": "read"}
    assert admin.post(f"{url(app_)}/{one}", data | {"default": ""}).status_code == 303
    both = {"name": "Extras", "default": ["Basic, 5 €", "Pro, 9 €"]}
    assert admin.post(f"{url(app_)}/{several}", data | both).status_code == 303
    assert [field.default for field in policy_of(app_).entitlements] == [None, ["Basic, 5 €", "Pro, 9 €"]]
    # Of a choice that goes, the box is still ticked when that is refused.
    refused = admin.post(f"{url(app_)}/{several}", data | both | {"options": "Pro, 9 €"}, htmx=True)
    assert refused.status_code == 422 and "“Basic, 5 €” is not one of the choices for Extras." in words(refused)
    assert flat(refused).count(" checked") == 2
    assert admin.post(f"{url(app_)}/{several}", data | {"name": "Extras"}).status_code == 303
    assert policy_of(app_).entitlements[1].default is None


def test_two_fields_of_one_name_are_refused(admin, app_):
    made(admin, app_)
    answer = admin.post(url(app_), CHOICE | {"name": "LICENCE"}, htmx=True)
    assert answer.status_code == 422 and "There is a field called LICENCE already." in words(answer)


def test_a_field_is_edited_but_keeps_its_kind(admin, app_):
    key = made(admin, app_)
    data = {"name": "Plan", "kind": "number", "options": "A\nB", "default": "A", "help": "Hm.", "requester": "read"}
    answer = admin.post(f"{url(app_)}/{key}", data, htmx=True)
    assert answer.status_code == 200 and re.search(r"<b>Plan</b>\s*<span class=\"cs-saved\"", flat(answer))
    (one,) = policy_of(app_).entitlements
    assert (one.id, one.name, one.kind, one.options, one.requester) == (key, "Plan", "choice", ("A", "B"), "read")
    assert in_step(app_)
    before = factories.rows("policy_revisions")
    assert admin.post(f"{url(app_)}/{key}", data).status_code == 303
    assert factories.rows("policy_revisions") == before


def test_a_refused_edit_keeps_what_was_typed_at_its_field(admin, app_):
    key = made(admin, app_)
    made(admin, app_, name="Role")
    data = {"name": "Role", "options": "A\nB", "default": "", "requester": "read"}
    answer = admin.post(f"{url(app_)}/{key}", data, htmx=True)
    assert answer.status_code == 422 and "There is a field called Role already." in words(answer)
    assert ">\nA\nB</textarea>" in words(answer)
    assert admin.post(f"{url(app_)}/{key}", data | {"name": "Plan", "requester": "all"}).status_code == 422
    required = admin.post(f"{url(app_)}/{key}", data | {"name": "Plan", "required": "1"}, htmx=True)
    assert required.status_code == 422 and "Plan is required, but nobody may set it." in words(required)
    assert in_step(app_)


def test_an_archived_field_is_asked_of_nobody_and_can_be_restored(admin, app_, ana):
    key = made(admin, app_, setter=f"person:{ana.public_id}")
    other = made(admin, app_, name="Role")
    assert admin.post(f"{url(app_)}/{key}/archive").status_code == 303
    assert [one.id for one in policy_of(app_).entitlements] == [other]
    assert policy_of(app_).steps[0].see == {}
    assert "Restore Licence" in words(admin.get(f"/admin/apps/{app_.public_id}"))
    again = admin.post(f"{url(app_)}/{key}/archive", htmx=True)
    assert again.status_code == 409 and "Somebody else archived this field meanwhile." in words(again)
    assert admin.post(f"{url(app_)}/{key}/restoration", htmx=True).status_code == 200
    assert [one.id for one in policy_of(app_).entitlements] == [other, key]
    assert in_step(app_)
    assert admin.post(f"{url(app_)}/{key}/restoration").status_code == 409


def test_a_field_does_not_come_back_beside_another_of_its_name(admin, app_):
    key = made(admin, app_)
    admin.post(f"{url(app_)}/{key}/archive")
    made(admin, app_)
    answer = admin.post(f"{url(app_)}/{key}/restoration", htmx=True)
    assert answer.status_code == 409 and "There is another field called Licence now." in words(answer)


def test_fields_are_put_in_order(admin, app_):
    first, second = made(admin, app_), made(admin, app_, name="Role")
    assert (
        admin.post(f"{url(app_)}/order", {"order": f"{second} {first}", "moved": second}, htmx=True).status_code == 200
    )
    assert [one.id for one in policy_of(app_).entitlements] == [second, first]
    assert in_step(app_)
    for order in ("", first, f"{first} {first}"):
        assert admin.post(f"{url(app_)}/order", {"order": order}).status_code == 409


def test_an_eleventh_field_is_refused(admin, app_):
    for index in range(10):
        made(admin, app_, name=f"Field {index}")
    answer = admin.post(url(app_), CHOICE, htmx=True)
    assert answer.status_code == 409 and "An app can have up to 10 fields." in words(answer)


def test_a_field_that_nobody_sees_is_told(admin, app_):
    made(admin, app_)
    assert "Licence is seen by nobody." in flat(admin.get(f"/admin/apps/{app_.public_id}"))


def test_a_pending_request_keeps_the_fields_it_started_with(admin, app_, rita, ana):
    key = made(admin, app_, setter=f"person:{ana.public_id}")
    pending = factories.request(rita, now(app_))
    admin.post(f"{url(app_)}/{key}/archive")
    case = factories.case_of(pending)
    assert [one.id for one in case.policy.entitlements] == [key]
    assert case.policy.steps[0].approver == Approver(ana.id)


def test_a_field_of_another_app_is_not_touched(admin, app_, ana):
    other = factories.app("Zoom", ana)
    key = made(admin, app_)
    assert admin.post(f"{url(other)}/{key}/archive").status_code == 409
    assert rows(app_)[0].archived_at is None
