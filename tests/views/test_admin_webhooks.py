"""Settings, Webhooks: add one, its secrets, its deliveries, pause and resume, send again, remove."""

from __future__ import annotations

import html
import json
import re
from datetime import timedelta

import pytest

from tests.helpers import changes, factories, lookups, pages
from tests.helpers.statements import assert_constant, counting
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.events_out import EVENTS
from webapp.extensions import db
from webapp.models import Delivery, DeliveryTry, Endpoint
from webapp.operations import endpoints as operations
from webapp.queries.endpoints import secrets_of

LIST = "/admin/webhooks"
ADDRESS = "https://hooks.example.com/countersign"


@pytest.fixture
def admin(login_as, adam):
    return login_as(factories.with_password(adam))


@pytest.fixture
def hook(adam):
    return factories.webhook(adam)


def form(**changed):
    return {"name": "Service desk", "address": ADDRESS, "every": "1", "category": "", "q": ""} | changed


def app_value(app):
    return f"app:{app.public_id}"


def page_of(endpoint):
    return f"/admin/endpoints/{endpoint.public_id}"


def stored():
    db.session.rollback()
    return db.session.query(Endpoint).populate_existing().order_by(Endpoint.id.desc()).first()


def secret_on(answer):
    found = re.search(r'id="signing-secret"[^>]*value="([^"]*)"', pages.flat(answer))
    return html.unescape(found[1]) if found else ""


def main(answer):
    return answer.text.partition("<main")[2].partition("</main>")[0]


def was(browser, endpoint):
    return html.unescape(re.search(r'name="was" value="([^"]*)"', browser.get(page_of(endpoint)).text)[1])


def message(endpoint, event="request.approved", *, state="due", tries=0, error="", ordered_by=None, **more):
    """A delivery as the worker left it."""
    choose("write")
    row = Delivery(endpoint_id=endpoint.id, event=event, body=json.dumps({"type": event}), state=state, tries=tries,
                   error=error, ordered_by=ordered_by, created_at=clock.now(),
                   due_at=clock.now() + timedelta(minutes=5 if tries else -1),
                   settled_at=clock.now() if state in ("sent", "dead") else None, **more)  # fmt: skip
    db.session.add(row)
    db.session.commit()
    return row


def attempt(delivery, status=503, answer="503 Service Unavailable\n\n<h1>Later</h1>", error=""):
    choose("write")
    db.session.add(DeliveryTry(delivery_id=delivery.id, at=clock.now(), status=status, ms=212, answer=answer,
                               error=error))  # fmt: skip
    db.session.get_one(Delivery, delivery.id).status = status
    db.session.commit()


# ---------- Add ----------


def test_a_webhook_is_added_and_its_secret_shown_once(admin, adam):
    answer = admin.post(LIST, form())
    assert answer.status_code == 200 and answer.headers["Cache-Control"] == "no-store"
    secret = secret_on(answer)
    assert secret.startswith("whsec_") and "cannot be shown again" in answer.text
    made = stored()
    assert (made.name, made.events, made.created_by_id) == ("Service desk", (), adam.id)
    assert secret not in admin.get(page_of(made)).text and f"…{secret[-4:]}" in admin.get(page_of(made)).text
    again = admin.post(LIST, form())
    assert again.status_code == 422 and "There is one named Service desk already" in pages.markup(again)
    assert secret_on(again) == "" and db.session.query(Endpoint).count() == 1
    assert "added the" in pages.words(admin.get("/admin/audit"))


def test_it_may_choose_events_and_apps(admin, ana):
    figma = factories.app("Figma", ana)
    chosen = ["access.given", "access.ended"]
    assert admin.post(LIST, form(every="", events=chosen, apps=[app_value(figma)], with_texts="1")).status_code == 200
    made = stored()
    assert set(made.events) == set(chosen) and made.app_ids == (figma.id,) and made.with_texts
    page = pages.flat(admin.get(page_of(made)))
    assert re.search(r'value="access.given" checked', page) and f'name="apps" value="{app_value(figma)}"' in page
    assert 'aria-label="Remove Figma"' in page and "1 app" in pages.words(admin.get(LIST))
    assert "access.given, access.ended" in pages.words(admin.get(LIST))


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"name": " "}, "Enter a name"),
        ({"name": "x" * 81}, "Use 80 characters or fewer"),
        ({"address": "hooks.example.com"}, "Enter an address such as"),
        ({"address": "http://hooks.example.com/x"}, "Use https://"),
        ({"address": "https://127.0.0.1/x"}, "is not on the internet"),
        ({"every": ""}, "Choose at least one."),
        ({"every": "", "events": ["request.vanished"]}, "is not in the list"),
        ({"apps": ["app:0123456789AB"]}, "Something that you chose no longer exists."),
        ({"apps": ["person:0123456789AB"]}, "Something that you chose no longer exists."),
        ({"q": "Figm"}, "“Figm” is not chosen yet. Choose it from the list, or empty the field."),
        ({"category": "x" * 61}, "Use 60 characters or fewer"),
    ],
)
def test_bad_input_is_refused_at_its_field_with_what_was_typed(admin, bad, sentence):
    before = lookups.everything()
    sent = form() | bad
    answer = admin.post(LIST, sent)
    page = pages.flat(answer)
    assert answer.status_code == 422 and sentence in page and 'aria-invalid="true"' in page
    assert f'value="{sent["address"]}"' in page and f'value="{sent["q"]}"' in page and sent["name"].strip() in page
    assert lookups.everything() == before


def test_every_event_is_offered_in_its_group(admin):
    page = admin.get(f"{LIST}/new").text
    assert all(f'value="{name}"' in page for name in EVENTS)


# ---------- The list ----------


def test_the_list_says_which_one_is_paused_and_why(admin, adam, hook):
    other = factories.webhook(adam, name="Data warehouse")
    message(other)
    choose("write")
    operations.pause_failing(other.id, "It answered 410 Gone.", now=clock.now())
    outbox.commit()
    page = pages.words(admin.get(LIST))
    assert "Data warehouse is paused: It answered 410 Gone. 1 event waits." in page
    assert "Nothing sent yet" in page and "hooks.example.com/countersign" in page


def test_where_there_is_none_the_page_says_what_they_are_for(admin):
    assert "No webhooks" in admin.get(LIST).text


# ---------- Settings ----------


@pytest.mark.parametrize("htmx", [False, True])
def test_its_settings_are_changed(admin, hook, htmx):
    sent = form(name="Ledger", address="https://ledger.example.com/in", was=was(admin, hook))
    assert admin.post(page_of(hook), sent, htmx=htmx).status_code == (200 if htmx else 303)
    assert (stored().name, stored().host) == ("Ledger", "ledger.example.com/in")


def test_of_two_who_change_it_the_second_is_asked(admin, hook):
    old = form(name="Mine", was=was(admin, hook))
    admin.post(page_of(hook), form(name="Theirs", was=old["was"]))
    answer = admin.post(page_of(hook), old)
    assert answer.status_code == 409 and "Save again to overwrite" in answer.text and 'value="Mine"' in answer.text
    assert stored().name == "Theirs"


def test_a_refused_change_keeps_what_was_typed(admin, hook):
    answer = admin.post(page_of(hook), form(name="Mine", address="ftp://x", was=was(admin, hook)))
    assert answer.status_code == 422 and 'value="Mine"' in answer.text and 'value="ftp://x"' in answer.text
    assert stored().name == hook.name


def test_it_is_paused_tested_and_resumed(admin, hook):
    assert admin.post(f"{page_of(hook)}/test").status_code == 303
    assert [one.event for one in db.session.query(Delivery)] == ["test"]
    assert admin.post(f"{page_of(hook)}/pause").status_code == 303 and stored().paused_at is not None
    page = pages.words(admin.get(page_of(hook)))
    assert "1 message waits, and is sent in order when you resume it" in page and "Waits: paused" in page
    assert admin.post(f"{page_of(hook)}/pause").status_code == 409
    assert admin.post(f"{page_of(hook)}/test").status_code == 409
    assert admin.post(f"{page_of(hook)}/resumption").status_code == 303 and stored().paused_at is None
    assert admin.post(f"{page_of(hook)}/resumption").status_code == 409


@pytest.mark.parametrize("htmx", [False, True])
def test_it_is_removed_after_a_question(admin, hook, htmx):
    message(hook)
    question = admin.get(f"{page_of(hook)}/removal", htmx=htmx)
    assert "Remove Service desk?" in question.text and "1 message that waits is not sent" in pages.words(question)
    assert admin.post(f"{page_of(hook)}/removal", htmx=htmx).status_code == (200 if htmx else 303)
    assert "No webhooks" in admin.get(LIST).text
    assert admin.post(f"{page_of(hook)}/removal").status_code == 404


def test_of_a_removed_one_the_deliveries_can_still_be_seen(admin, hook):
    done = message(hook, state="sent", tries=1)
    attempt(done, 200, "200 OK")
    assert ">Removed</h2>" not in admin.get(LIST).text
    admin.post(f"{page_of(hook)}/removal")
    assert f'href="{page_of(hook)}"' in admin.get(LIST).text and "Removed" in admin.get(LIST).text
    page = admin.get(page_of(hook))
    assert page.status_code == 200 and "This webhook was removed just now." in pages.words(page)
    assert f"{page_of(hook)}/deliveries/{done.public_id}" in page.text and 'href="/admin/webhooks/new"' in page.text
    assert 'id="settings"' not in page.text and "Send test" not in page.text and "<form" not in main(page)
    at = f"{page_of(hook)}/deliveries/{done.public_id}"
    one = admin.get(at)
    assert "200 OK" in one.text and "This webhook was removed" in one.text and "Send again" not in one.text
    assert "the secrets were deleted" in one.text
    assert admin.post(f"{at}/sending").headers["Location"] == at
    assert "was removed, so nothing is sent to it. Add it again" in pages.words(admin.get(at))
    for path in ("", "/pause", "/resumption", "/test", "/secrets", "/held/sending", "/held/dropping"):
        assert admin.post(page_of(hook) + path).status_code == 404
    changes.shift("endpoints", "removed_at", timedelta(days=-31))
    assert f'href="{page_of(hook)}"' not in admin.get(LIST).text


# ---------- Secrets ----------


@pytest.mark.parametrize("htmx", [False, True])
def test_a_new_secret_is_shown_once_and_the_old_one_works_on(admin, hook, htmx):
    (old,) = secrets_of(hook)
    answer = admin.post(f"{page_of(hook)}/secrets", htmx=htmx)
    secret = secret_on(answer)
    assert answer.status_code == 200 and secret and answer.headers["Cache-Control"] == "no-store"
    page = admin.get(page_of(hook))
    assert secret not in page.text and f"…{secret[-4:]}" in page.text and "Also signs until" in page.text
    again = admin.post(f"{page_of(hook)}/secrets", htmx=htmx)
    assert again.status_code == 409 and secret_on(again) == ""
    ending = f"{page_of(hook)}/secrets/{old.public_id}/ending"
    assert admin.post(ending).status_code == 303 and len(secrets_of(hook)) == 1
    assert admin.post(ending).status_code == 404


def test_the_only_secret_does_not_end(admin, hook):
    (only,) = secrets_of(hook)
    assert admin.post(f"{page_of(hook)}/secrets/{only.public_id}/ending").status_code == 409


# ---------- Deliveries ----------


def test_deliveries_are_listed_by_state(admin, hook, rita, ana):
    figma = factories.app("Figma", ana)
    asked = factories.request(rita, figma)
    db.session.query(Delivery).delete()
    db.session.commit()
    about = {"app_id": figma.id, "person_id": rita.id, "request_id": asked.id}
    attempt(message(hook, "request.submitted", tries=3, ordered_by="1", **about))
    message(hook, "access.given", ordered_by="1", **about)
    attempt(message(hook, "access.ended", state="dead", tries=14), 404)
    attempt(message(hook, "person.created", state="sent", tries=1, person_id=ana.id), 200)
    page = pages.words(admin.get(page_of(hook)))
    for words in ("503 after 3 attempts", "Waits its turn", "404 after 14 attempts", "200 in 212 ms", "4 of 4, newest"):
        assert words in page, words
    for state, event in (("retried", "request.submitted"), ("waiting", "access.given"), ("dead", "access.ended")):
        one = pages.words(admin.get(f"{page_of(hook)}?state={state}", htmx=True))
        assert "1 of 1" in one and event in one
    assert "4 of 4" in pages.words(admin.get(f"{page_of(hook)}?state=nonsense"))


@pytest.mark.both_engines
def test_deliveries_are_paged_by_key(admin, hook):
    for number in range(60):
        message(hook, f"e{number:02}", state="sent", tries=1)
    first = admin.get(page_of(hook))
    assert "50 of 60" in pages.words(first) and "e59" in first.text and "e09" not in first.text
    older = re.search(r'href="(/admin/endpoints/\w+\?after=\w+)"', first.text)[1]
    second = admin.get(older)
    assert "10 of 60" in pages.words(second) and "e09" in second.text and "e10" not in second.text


def test_one_delivery_shows_what_was_sent_and_answered_as_text(admin, hook):
    first = message(hook, "request.approved", tries=1, ordered_by="1")
    attempt(first)
    attempt(first, 0, "", "No answer within 10 seconds.")
    behind = message(hook, "access.given", ordered_by="1")
    page = admin.get(f"{page_of(hook)}/deliveries/{first.public_id}")
    text = pages.markup(page)
    assert f"webhook-id: {first.message_id}" in text and '"type": "request.approved"' in text
    assert "No answer within 10 seconds." in text and "503" in text and "Attempt 2 of 14" in text
    assert "Waiting behind it" in text and behind.public_id in text
    attempt(first)
    assert "&lt;h1&gt;Later" in admin.get(f"{page_of(hook)}/deliveries/{first.public_id}").text


def test_a_delivery_is_sent_again(admin, hook):
    done = message(hook, state="dead", tries=14, error="404")
    at = f"{page_of(hook)}/deliveries/{done.public_id}"
    assert "Send again" in admin.get(at).text
    assert admin.post(f"{at}/sending").headers["Location"] == at
    db.session.rollback()
    found = db.session.get_one(Delivery, done.id, populate_existing=True)
    assert (found.state, found.tries) == ("due", 0)
    admin.post(f"{at}/sending")
    assert "This delivery is being sent already." in admin.get(at).text
    assert len(lookups.facts("delivery.sent_again")) == 1


def test_the_delivery_of_another_webhook_is_not_found(admin, adam, hook):
    theirs = message(factories.webhook(adam, name="Other"))
    at = f"{page_of(hook)}/deliveries/{theirs.public_id}"
    assert admin.get(at).status_code == 404 and admin.post(f"{at}/sending").status_code == 404


# ---------- For all of it ----------


def test_what_changes_it_asks_for_the_password(admin, hook):
    changes.shift("sessions", "proved_at", timedelta(minutes=-16))
    for path in ("", "/pause", "/removal", "/secrets"):
        assert admin.post(page_of(hook) + path).status_code == 401
    assert admin.post(LIST, form(name="Other")).status_code == 401
    assert admin.post(f"{page_of(hook)}/test").status_code == 303


def test_others_find_nothing(login_as, rita, hook):
    hers = login_as(rita)
    for path in (LIST, f"{LIST}/new", "/admin/chat", page_of(hook), f"{page_of(hook)}/removal"):
        assert hers.get(path).status_code == 404
    for path in ("", "/pause", "/test", "/removal", "/secrets", "/held/sending", "/held/dropping"):
        assert hers.post(page_of(hook) + path).status_code == 404


def test_get_is_refused(admin, hook):
    for path in ("pause", "resumption", "test", "secrets"):
        pages.assert_refuses_get(admin, f"{page_of(hook)}/{path}")


def test_pages_take_the_same_statements_with_few_and_many(admin, adam, hook):
    first = message(hook, tries=1, ordered_by="1")
    attempt(first)
    message(hook, ordered_by="1")
    paths = (LIST, page_of(hook), f"{page_of(hook)}/deliveries/{first.public_id}")
    numbers: dict[str, list[int]] = {path: [] for path in paths}
    for more in (range(20), ()):
        for path, counts in numbers.items():
            with counting() as count:
                admin.get(path)
            counts.append(len(count))
        for number in more:
            factories.webhook(adam, name=f"Other {number}")
            message(hook, ordered_by="1")
            attempt(first)
    for counts in numbers.values():
        assert_constant(counts, at_most=8)
