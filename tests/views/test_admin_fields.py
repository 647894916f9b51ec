"""An app's typed fields: made, edited, ordered, archived and restored, in the rows and in the rule alike."""

from __future__ import annotations

import html
import json
import re

import pytest
from sqlalchemy import select

from tests.helpers import factories
from tests.helpers.lookups import facts, now, policy_of
from tests.helpers.pages import flat, is_fragment, markup
from webapp.extensions import db
from webapp.models import EntitlementField
from webapp.workflow.policy import Approver
from webapp.workflow.states import Visibility

CHOICE = {"name": "Licence", "kind": "choice", "options": "Standard\r\nDeveloper"}


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


def save(admin, app, key, part, value, htmx=True):
    """One part of a field, with what its form was drawn with."""
    page = admin.get(f"/admin/apps/{app.public_id}").get_data(as_text=True)
    form = page[page.index(f"{url(app)}/{key}/{part}#set-fields") :]
    was = html.unescape(re.search(r'name="was" value="([^"]*)"', form)[1])
    return admin.post(
        f"{url(app)}/{key}/{part}", {"was": was} | ({part: value} if value is not None else {}), htmx=htmx
    )


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
def test_a_field_is_made_with_its_choices_and_the_requester_sets_it(admin, app_, htmx):
    answer = admin.post(url(app_), CHOICE, htmx=htmx)
    assert answer.status_code == (200 if htmx else 303)
    (one,) = policy_of(app_).entitlements
    assert (one.name, one.kind, one.options, one.default) == ("Licence", "choice", ("Standard", "Developer"), None)
    assert one.requester is Visibility.WRITE and policy_of(app_).steps[0].visibility == {}
    if htmx:
        page = flat(answer)
        assert is_fragment(answer) and "Saved" in page and 'id="set-matrix" hx-swap-oob="true"' in page
        assert re.search(rf'<details class="cs-field" id="f-{one.id}"[^>]* open>', page)  # to go on with
    assert in_step(app_)
    line = facts("field.created")[-1]
    assert "Licence" not in str(line) and "Standard" not in str(line)


@pytest.mark.parametrize(
    ("kind", "default", "value"),
    [
        ("choices", ["Developer", "Standard"], ["Standard", "Developer"]),
        ("choice", "Developer", "Developer"),
        ("text", "12-4", "12-4"),
        ("number", "2,5", 2.5),
        ("yes_no", "yes", True),
        ("yes_no", "", None),
    ],
)
def test_defaults_are_typed(admin, app_, kind, default, value):
    key = made(admin, app_, kind=kind, options=CHOICE["options"] if kind.startswith("choice") else "")
    assert save(admin, app_, key, "default", default).status_code == 200
    assert policy_of(app_).entitlements[0].default == value
    # Any other part of it can be saved then, and the default stays.
    assert save(admin, app_, key, "help", "Ask Finance.").status_code == 200
    assert policy_of(app_).entitlements[0].default == value


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": " "}, "Enter a name."),
        ({"name": "n" * 81}, "A field name can have up to 80 characters."),
        ({"options": "\n "}, "Enter at least one option, one per line."),
        ({"kind": "text"}, "Only the types Choice and Several choices have options."),
        ({"kind": "colour"}, "Choose one of these types."),
    ],
)
def test_a_field_that_cannot_be_made_is_shown_again_as_typed(admin, app_, changes, sentence):
    for htmx in (False, True):
        answer = admin.post(url(app_), CHOICE | changes, htmx=htmx)
        assert answer.status_code == 422 and is_fragment(answer) is htmx
        assert sentence in markup(answer)
        assert 'aria-invalid="true"' in markup(answer)
    assert rows(app_) == [] and policy_of(app_).entitlements == ()


@pytest.mark.parametrize(
    ("part", "value", "sentence"),
    [
        ("name", " ", "Enter a name."),
        ("name", "Role", "A field with the name Role already exists."),
        ("help", "h" * 201, "Use 200 characters or fewer. You entered 201."),
        ("options", "", "Enter at least one option, one per line."),
        ("options", "Developer", "“Standard” is not an option for Licence."),
        ("default", "Gold", "“Gold” is not an option for Licence."),
    ],
)
def test_a_part_that_cannot_be_taken_stays_typed_and_stops_no_other(admin, app_, part, value, sentence):
    made(admin, app_, name="Role")
    key = made(admin, app_)
    save(admin, app_, key, "default", "Standard")
    for htmx in (False, True):
        answer = save(admin, app_, key, part, value, htmx=htmx)
        assert answer.status_code == 422 and is_fragment(answer) is htmx
        assert sentence in markup(answer) and 'aria-invalid="true"' in markup(answer)
        assert value.strip() in markup(answer)
    other = "help" if part != "help" else "name"
    assert save(admin, app_, key, other, "Fine").status_code == 200
    assert getattr(policy_of(app_).entitlements[1], other) == "Fine"
    assert in_step(app_)


def test_choices_that_were_typed_for_a_text_stay_to_be_seen(admin, app_):
    page = flat(admin.post(url(app_), CHOICE | {"kind": "text"}, htmx=True))
    assert "Standard Developer</textarea>" in page and "cs-options" not in page
    assert "cs-options" in flat(admin.get(f"/admin/apps/{app_.public_id}"))


def test_the_default_is_chosen_from_the_choices_commas_and_all(admin, app_):
    options = "Basic, 5 €\r\nPro, 9 €"
    one = made(admin, app_, options=options)
    several = made(admin, app_, name="Extras", kind="choices", options=options)
    save(admin, app_, one, "default", "Basic, 5 €")
    save(admin, app_, several, "default", ["Pro, 9 €"])
    assert [field.default for field in policy_of(app_).entitlements] == ["Basic, 5 €", ["Pro, 9 €"]]
    page = flat(admin.get(f"/admin/apps/{app_.public_id}"))
    assert '<option value="Basic, 5 €" selected>' in page
    assert re.search(r'name="default" value="Pro, 9 €" checked', page)
    save(admin, app_, one, "default", "")
    save(admin, app_, several, "default", ["Basic, 5 €", "Pro, 9 €"])
    assert [field.default for field in policy_of(app_).entitlements] == [None, ["Basic, 5 €", "Pro, 9 €"]]
    # New options are there to be chosen as the default at once.
    answer = save(admin, app_, one, "options", options + "\r\nMax")
    assert '<option value="Max">' in flat(answer)


def see(admin, app, who, key):
    cell = f"{factories.step_id(app, who)}-{key}"
    data = {f"was-{cell}": "hidden", f"see-{cell}": "write"}
    assert admin.post(f"/admin/apps/{app.public_id}/visibility", data).status_code == 303


def test_two_fields_of_one_name_are_refused(admin, app_):
    made(admin, app_)
    answer = admin.post(url(app_), CHOICE | {"name": "LICENCE"}, htmx=True)
    assert answer.status_code == 422 and "A field with the name LICENCE already exists." in markup(answer)


def test_a_field_is_edited_part_by_part(admin, app_):
    key = made(admin, app_)
    wanted = {"name": "Plan", "options": "A\nB", "default": "A", "help": "Hm.", "required": "1"}
    for part, value in wanted.items():
        answer = save(admin, app_, key, part, value)
        assert answer.status_code == 200 and 'class="cs-saved"' in markup(answer)
    (one,) = policy_of(app_).entitlements
    assert (one.id, one.name, one.kind, one.options) == (key, "Plan", "choice", ("A", "B"))
    assert (one.default, one.help, one.required) == ("A", "Hm.", True)
    assert in_step(app_)
    before = factories.rows("policy_revisions")
    assert save(admin, app_, key, "name", "Plan").status_code == 200
    assert factories.rows("policy_revisions") == before
    assert save(admin, app_, key, "required", None).status_code == 200  # a box that is not ticked sends nothing
    assert not policy_of(app_).entitlements[0].required
    assert admin.post(f"{url(app_)}/{key}/kind", {"kind": "number"}).status_code == 404


def test_a_part_that_somebody_else_changed_is_not_overwritten_unseen(admin, app_):
    key = made(admin, app_)
    save(admin, app_, key, "help", "Theirs")
    stale = {"was": '{"help": ""}', "help": "Mine"}
    answer = admin.post(f"{url(app_)}/{key}/help", stale, htmx=True)
    assert (
        answer.status_code == 409 and "Your text is still here." in markup(answer) and 'value="Mine"' in markup(answer)
    )
    assert policy_of(app_).entitlements[0].help == "Theirs"
    assert save(admin, app_, key, "help", "Mine").status_code == 200
    # Another part of it is no conflict.
    assert save(admin, app_, key, "name", "Plan").status_code == 200


def test_an_archived_field_is_asked_of_nobody_and_can_be_restored(admin, app_, ana):
    key = made(admin, app_)
    see(admin, app_, ana, key)
    other = made(admin, app_, name="Role")
    assert admin.post(f"{url(app_)}/{key}/archive").status_code == 303
    assert [one.id for one in policy_of(app_).entitlements] == [other]
    assert policy_of(app_).steps[0].visibility == {}
    assert "Restore Licence" in markup(admin.get(f"/admin/apps/{app_.public_id}"))
    again = admin.post(f"{url(app_)}/{key}/archive", htmx=True)
    assert again.status_code == 409 and "Someone else has archived this field." in markup(again)
    assert admin.post(f"{url(app_)}/{key}/restoration", htmx=True).status_code == 200
    assert [one.id for one in policy_of(app_).entitlements] == [other, key]
    assert in_step(app_)
    assert admin.post(f"{url(app_)}/{key}/restoration").status_code == 409


def test_a_field_does_not_come_back_beside_another_of_its_name(admin, app_):
    key = made(admin, app_)
    admin.post(f"{url(app_)}/{key}/archive")
    made(admin, app_)
    answer = admin.post(f"{url(app_)}/{key}/restoration", htmx=True)
    assert answer.status_code == 409 and "Another field now has the name Licence." in markup(answer)


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
    assert answer.status_code == 409 and "An app can have up to 10 fields." in markup(answer)


def test_a_field_that_nobody_sees_is_told(admin, app_):
    key = f"requester-{made(admin, app_)}"
    answer = admin.post(
        f"/admin/apps/{app_.public_id}/visibility", {f"was-{key}": "write", f"see-{key}": "hidden"}, htmx=True
    )
    assert "Licence is not visible to anyone." in flat(answer)


def test_a_pending_request_keeps_the_fields_it_started_with(admin, app_, rita, ana):
    key = made(admin, app_)
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
