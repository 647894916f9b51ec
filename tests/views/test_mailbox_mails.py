"""The Mailbox shows every mail to whoever sits at this machine, and its links can be followed."""

import re
from email.message import EmailMessage

import pytest

from webapp import create_app
from webapp.config import Settings
from webapp.embedded import mailstore

LINK = "http://127.0.0.1:8000/decide/token"


@pytest.fixture
def settings(app):
    settings = app.extensions["settings"]
    mailstore.empty(settings.data / "mailbox")
    return settings


@pytest.fixture
def client(app, settings):
    return app.test_client()


@pytest.fixture
def deliver(settings):
    def deliver(subject="Rita asks for Benevity", to="Ana Moreau", text=f"See {LINK}", html=""):
        address = f"{to.split()[0].lower()}@example.com"
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = "c@example.com", f"{to} <{address}>", subject
        message.set_content(text)
        if html:
            message.add_alternative(html, subtype="html")
        return mailstore.store(
            settings.data / "mailbox",
            sender="c@example.com",
            recipients=[address],
            content=message.as_bytes(),
        )

    return deliver


def listed(page):
    return re.findall(r"<b>([^<]*)</b>", page.text)


def directive(response, name):
    policies = response.headers["Content-Security-Policy"].split(";")
    return next(policy.strip() for policy in policies if policy.strip().startswith(name + " "))


def test_an_empty_mailbox_says_what_to_do_next(client):
    page = client.get("/mailbox")
    assert page.status_code == 200
    assert "No emails yet" in page.text
    assert "request an app" in page.text


def test_the_newest_mail_is_first_and_open(client, deliver):
    deliver("First")
    newest = deliver("Second")
    page = client.get("/mailbox")
    assert listed(page) == ["Second", "First"]
    assert f'src="/mailbox/{newest}/body"' in page.text
    assert "Ana Moreau, ana@example.com" in " ".join(page.text.split())


def test_an_older_mail_can_be_opened(client, deliver):
    older = deliver("First")
    deliver("Second")
    page = client.get(f"/mailbox/{older}")
    assert f'src="/mailbox/{older}/body"' in page.text
    assert re.search(r'aria-current="true">\s*<b>First</b>', page.text)


def test_a_subject_cannot_bring_markup(client, deliver):
    deliver("<script>alert(1)</script>")
    assert "<script>alert" not in client.get("/mailbox").text


@pytest.mark.parametrize(
    ("query", "subjects"),
    [("q=salesforce", ["Salesforce"]), ("q=lena", ["DocuSign"]), ("to=ana@example.com", ["Salesforce"])],
)
def test_mails_are_searched_by_person_and_words(client, deliver, query, subjects):
    deliver("Salesforce")
    deliver("DocuSign", to="Lena Novak")
    page = client.get(f"/mailbox?{query}")
    assert listed(page) == subjects


def test_what_was_searched_is_still_there_when_nothing_is_found(client, deliver):
    deliver()
    page = client.get("/mailbox?q=zebra")
    assert "No emails match" in page.text
    assert 'value="zebra"' in page.text


def test_a_long_list_has_pages(client, deliver):
    for number in range(31):
        deliver(f"Mail {number}")
    first = client.get("/mailbox")
    assert len(listed(first)) == 30
    older = re.search(r'href="([^"]*before=[^"]*)">Older', first.text)[1]
    second = client.get(older.replace("&amp;", "&"))
    assert listed(second) == ["Mail 0"]
    newer = re.search(r'href="([^"]*after=[^"]*)">Newer', second.text)[1]
    assert listed(client.get(newer.replace("&amp;", "&")))[0] == "Mail 30"


def test_a_page_whose_mails_are_gone_shows_the_newest(client, deliver):
    oldest = deliver("Only one")
    assert listed(client.get(f"/mailbox?before={oldest}")) == ["Only one"]


def test_the_mailbox_may_hold_a_frame_of_our_own_and_is_framed_by_nobody(client, deliver):
    deliver()
    page = client.get("/mailbox")
    assert directive(page, "frame-src") == "frame-src 'self'"
    assert directive(page, "frame-ancestors") == "frame-ancestors 'none'"
    assert 'sandbox="allow-top-navigation-by-user-activation"' in page.text
    assert page.headers["Cache-Control"] == "no-store"


def test_the_mail_runs_nothing_and_is_framed_by_the_mailbox_only(client, deliver):
    mail_id = deliver(html=f"<html><head><title>x</title></head><body><a href='{LINK}'>Decide</a></body></html>")
    frame = client.get(f"/mailbox/{mail_id}/body")
    assert directive(frame, "default-src") == "default-src 'none'"
    assert "script-src" not in frame.headers["Content-Security-Policy"]
    assert directive(frame, "frame-ancestors") == "frame-ancestors 'self'"
    assert directive(frame, "sandbox") == "sandbox allow-top-navigation-by-user-activation"
    assert frame.headers.get("X-Frame-Options", "SAMEORIGIN") == "SAMEORIGIN"
    assert '<head><base target="_top">' in frame.text
    assert frame.headers["Cache-Control"] == "no-store"
    assert frame.headers["Referrer-Policy"] == "no-referrer"


def test_a_mail_without_html_shows_its_text_with_links(client, deliver):
    mail_id = deliver(text=f"<b>Hi</b> {LINK}")
    frame = client.get(f"/mailbox/{mail_id}/body")
    assert "&lt;b&gt;Hi&lt;/b&gt;" in frame.text
    assert f'href="{LINK}"' in frame.text


def test_a_mail_can_be_read_as_text(client, deliver):
    mail_id = deliver(text="Grüße", html="<b>x</b>")
    response = client.get(f"/mailbox/{mail_id}/text")
    assert response.mimetype == "text/plain"
    assert response.text.strip() == "Grüße"


@pytest.mark.parametrize("path", ["/mailbox/nothing", "/mailbox/nothing/body", "/mailbox/nothing/text"])
def test_a_mail_that_is_not_there_is_not_found(client, path):
    assert client.get(path).status_code == 404


def test_the_mailbox_is_not_there_once_a_mail_server_is_set(tmp_path):
    environment = {"COUNTERSIGN_EMBEDDED": "1", "COUNTERSIGN_DATA": str(tmp_path), "MAIL_SERVER": "mail.example.com"}
    assert create_app(Settings.from_env(environment)).test_client().get("/mailbox").status_code == 404
