"""Names, messages, comments and words that want to be headers or HTML."""

from __future__ import annotations

from collections.abc import Callable
from email import message_from_bytes
from email.header import decode_header, make_header
from email.utils import parseaddr
from html.parser import HTMLParser

import pytest
from sqlalchemy import text, update

from tests.helpers import factories
from tests.helpers.factories import Company
from tests.helpers.smtp_server import Accepted, SmtpServer
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Organisation, Person
from webapp.text import one_line
from webapp.workflow.entitlements import Entitlement
from webapp.workflow.policy import OutcomeRule, Policy, StepRule
from webapp.workflow.states import RequestState, Verdict, Visibility

Drain = Callable[[], None]

CORPUS = [
    "Rita\r\nBcc: everybody@example.com",
    "Rita\nSubject: You have won\n\nbody",
    "Rita\x00\x0b\x0c\x1c\x85\u2028\u2029Bcc: x@example.com",
    '"Rita" <evil@example.com>, x',
    "Lindqvist, Rita (she) [x]; y: z\\",
    "=?utf-8?q?Bcc=3A_everybody=40example=2Ecom?=",
    "=?utf-8?b?DQpCY2M6IGE=?= \r\n =?utf-8?q?=0D=0ABcc:_b?=",
    "Ünïcödé 名前 🙂 " + "long " * 18,
    "x" * 118,
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "</td></table><a href='https://evil.example'>here</a>",
    '" onmouseover="alert(1)" x="',
    "{{ 7*7 }}{% include 'x' %}${7*7}",
    "%s %(code)s {0} {link}",
    "\u202egnp.exe\u2066 right to left",
    ".\r\n.\r\nQUIT",
    "&lt;b&gt; &amp; &#x3C;script&#x3E;",
]


class Tags(HTMLParser):
    """The tags and attributes that a mail program would see."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.addresses: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses |= {str(value) for name, value in attrs if name in ("href", "src")}


HEADERS = {
    "Content-Type", "MIME-Version", "Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted",
    "X-Auto-Response-Suppress", "In-Reply-To", "References",
}  # fmt: skip


def story(company: Company, words: str, drain: Drain, smtp: SmtpServer) -> list[Accepted]:
    """A request whose every text is `words`, asked and denied; its mails."""
    note = Entitlement("note", one_line(words)[:80], "text", requester=Visibility.WRITE)
    rule = Policy(
        steps=(StepRule(factories.approver(company.finance), visibility={"note": Visibility.READ}),),
        entitlements=(note,),
        outcomes={RequestState.DENIED: OutcomeRule(approvers=True, others=("it@example.com",), message=words)},
    )
    made = factories.request(
        company.rita, factories.app("Salesforce", policy=rule), message=words, given={"note": [words[:200]]}
    )
    # As if it had come in past our own forms.
    db.session.execute(update(Organisation).values(sender=words.replace("\0", "")[:120]))
    db.session.execute(text("UPDATE apps SET name = :name"), {"name": words.replace("\0", "")[:80]})
    for person in (company.rita, company.ben, company.chloe):
        db.session.execute(update(Person).where(Person.id == person.id).values(name=words.replace("\0", "")[:120]))
    db.session.execute(text("UPDATE groups SET name = :name"), {"name": words.replace("\0", "")[:80]})
    outbox.commit()
    drain()
    factories.decide(made, company.ben, Verdict.DENIED, words)
    drain()
    assert len(smtp.mails) == 5
    return smtp.mails


@pytest.mark.parametrize("words", CORPUS)
def test_no_text_becomes_a_header_or_a_tag(company: Company, smtp: SmtpServer, drain: Drain, words: str) -> None:
    tame = story(company, words, drain, smtp)
    for mail in tame:
        head = mail.content.split(b"\r\n\r\n", 1)[0]
        assert head.isascii() and all(len(line) <= 998 for line in head.split(b"\r\n"))
        assert set(mail.message.keys()) == HEADERS
        assert len(mail.message.keys()) == len(HEADERS)
        assert len(mail.recipients) == 1
        addresses = mail.message["To"].addresses
        assert [address.addr_spec for address in addresses] == mail.recipients
        if mail.recipients != ["it@example.com"]:
            assert name_in(mail, "To") == shown(words, 120)
        assert [address.addr_spec for address in mail.message["From"].addresses] == ["countersign@example.com"]
        assert name_in(mail, "From") == shown(words, 120)
        assert not any(turn in mail.text + mail.html + mail.subject for turn in "\u202e\u2066")
        tags = Tags(mail.html)
        assert not {"script", "img", "b"} & set(tags.tags)
        assert not any(name.startswith("on") for name in tags.attributes)
        assert all(address.startswith("http://localhost/") for address in tags.addresses)
        assert "{{ 7*7 }}" not in words or "{{ 7*7 }}" in mail.text
        parts = [part.get_content_type() for part in mail.message.walk()]
        assert parts == ["multipart/alternative", "text/plain", "text/html"]


def name_in(mail: Accepted, header: str) -> str:
    """The display name. Not by the newer parser, which puts a space between two encoded words (RFC 2047, 6.2)."""
    raw = message_from_bytes(mail.content)[header]
    words = raw.rpartition(" <")[0]
    if words.startswith('"'):
        return parseaddr(" ".join(raw.split()))[0]
    return str(make_header(decode_header(words)))


def shown(words: str, limit: int) -> str:
    """What is left of a text that was cut at `limit` and put on one line."""
    return one_line(words.replace("\0", "")[:limit].translate(dict.fromkeys(map(ord, "\u202e\u2066"))))


def test_text_mails_are_not_escaped(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    factories.request(company.rita, factories.app("R&D <Lab>", company.ana), message='"Tom & I" <3 it\'s new')
    drain()
    mail = smtp.one_to("ana@example.com")
    assert "Rita Lindqvist requests R&D <Lab>." in mail.text
    assert '“"Tom & I" <3 it\'s new”' in mail.text
    assert "&amp;" not in mail.text and "&#39;" not in mail.text
    assert "R&amp;D &lt;Lab&gt;" in mail.html


@pytest.mark.parametrize(
    ("address", "sent"),
    [("jo@bücher.example", "jo@xn--bcher-kva.example"), ("jö@example.com", ""), ("a b@example.com", "")],
)
def test_an_address_is_sent_to_in_ascii_or_not_at_all(
    company: Company, smtp: SmtpServer, drain: Drain, address: str, sent: str
) -> None:
    factories.request(company.rita, factories.app("Salesforce", company.ana))
    db.session.execute(update(Person).where(Person.id == company.ana.id).values(email=address))
    outbox.commit()
    drain()
    assert [mail.recipients for mail in smtp.mails] == ([[sent]] if sent else [])
    state, error = db.session.execute(text("SELECT state, error FROM notices")).one()
    assert (state, "@example.com” " in error) == (("sent", False) if sent else ("dead", True))
