"""Mails are kept one file each, listed newest first, found by person and words."""

from email.message import EmailMessage

import pytest

from webapp.embedded import mailstore


def mail(subject="Hello", to="Ana Moreau <ana@example.com>", text="Please decide.", html=""):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Countersign <countersign@example.com>", to, subject
    message.set_content(text)
    if html:
        message.add_alternative(html, subtype="html")
    return message.as_bytes()


def keep(folder, content=None, recipients=("ana@example.com",), **fields):
    return mailstore.store(
        folder, sender="countersign@example.com", recipients=recipients, content=content or mail(**fields)
    )


def subjects(page):
    return [mail.subject for mail in page.mails]


def test_a_folder_that_does_not_exist_yet_has_no_mails(tmp_path):
    assert subjects(mailstore.page(tmp_path / "none")) == []
    assert mailstore.recipients(tmp_path / "none") == []


def test_the_newest_mail_comes_first(tmp_path):
    for number in range(3):
        keep(tmp_path, subject=f"Mail {number}")
    assert subjects(mailstore.page(tmp_path)) == ["Mail 2", "Mail 1", "Mail 0"]


def test_pages_lead_to_each_other(tmp_path):
    ids = [keep(tmp_path, subject=f"Mail {number}") for number in range(5)]
    first = mailstore.page(tmp_path, size=2)
    assert (subjects(first), first.older, first.newer) == (["Mail 4", "Mail 3"], True, False)
    second = mailstore.page(tmp_path, size=2, before=first.mails[-1].id)
    assert (subjects(second), second.older, second.newer) == (["Mail 2", "Mail 1"], True, True)
    last = mailstore.page(tmp_path, size=2, before=second.mails[-1].id)
    assert (subjects(last), last.older, last.newer) == (["Mail 0"], False, True)
    back = mailstore.page(tmp_path, size=2, after=ids[0])
    assert (subjects(back), back.older, back.newer) == (["Mail 2", "Mail 1"], True, True)


@pytest.mark.parametrize("words", ["ana", "MOREAU", "salesforce", "emea renewals", "renewals ana"])
def test_mails_are_found_by_person_and_by_words(tmp_path, words):
    keep(tmp_path, subject="Rita asks for Salesforce", text="I take over the EMEA renewals.")
    keep(tmp_path, subject="You have DocuSign", to="Lena <lena@example.com>", recipients=["lena@example.com"])
    assert subjects(mailstore.page(tmp_path, words=words)) == ["Rita asks for Salesforce"]


def test_mails_of_one_person(tmp_path):
    keep(tmp_path, subject="One")
    keep(tmp_path, subject="Two", to="Lena <lena@example.com>", recipients=["lena@example.com"])
    assert subjects(mailstore.page(tmp_path, to="Lena@example.com")) == ["Two"]
    assert mailstore.recipients(tmp_path) == [("ana@example.com", "Ana Moreau"), ("lena@example.com", "Lena")]


def test_text_and_html_come_apart(tmp_path):
    mail_id = keep(tmp_path, text="Plain é", html="<p>Rich é</p>")
    assert [part.strip() for part in mailstore.bodies(tmp_path, mail_id)] == ["Plain é", "<p>Rich é</p>"]


def test_the_envelope_is_what_smtp_said_whatever_the_mail_says(tmp_path):
    lie = b"X-Envelope-To: somebody@else.example\r\nSubject: Hi\r\nTo: x@example.com\r\n\r\nHi\r\n"
    mail_id = keep(tmp_path, content=lie)
    assert mailstore.find(tmp_path, mail_id).addresses == ("ana@example.com",)


def test_a_header_in_plain_utf8_is_read(tmp_path):
    mail_id = keep(tmp_path, content="Subject: Zoë fragt\r\nTo: Zoë <zoë@example.com>\r\n\r\nHallo\r\n".encode())
    assert mailstore.find(tmp_path, mail_id).subject == "Zoë fragt"


@pytest.mark.parametrize(
    "content", [b"", b"no header at all", b"Content-Type: text/plain; charset=nope\r\n\r\n\xff\xfe"]
)
def test_a_broken_mail_is_listed_all_the_same(tmp_path, content):
    mail_id = mailstore.store(tmp_path, sender="", recipients=["ana@example.com"], content=content)
    assert [mail.id for mail in mailstore.page(tmp_path, words="ana").mails] == [mail_id]
    assert mailstore.bodies(tmp_path, mail_id) is not None


@pytest.mark.parametrize("mail_id", ["", "..", "../secret_key", "0" * 32, "1" * 19 + "-" + "a" * 12])
def test_an_id_that_is_none_finds_nothing(tmp_path, mail_id):
    assert mailstore.find(tmp_path, mail_id) is None
    assert mailstore.bodies(tmp_path, mail_id) is None


def test_an_unfinished_mail_is_not_seen(tmp_path):
    keep(tmp_path)
    (tmp_path / f".{'1' * 19}-{'a' * 12}.tmp").write_bytes(b"half")
    assert len(mailstore.page(tmp_path).mails) == 1


def test_emptying_removes_every_mail(tmp_path):
    keep(tmp_path)
    keep(tmp_path)
    assert mailstore.empty(tmp_path) == 2
    assert subjects(mailstore.page(tmp_path)) == []


def test_only_the_newest_are_kept(tmp_path):
    for number in range(4):
        keep(tmp_path, subject=f"Mail {number}")
    mailstore.forget_old(tmp_path, keep=2)
    assert subjects(mailstore.page(tmp_path)) == ["Mail 3", "Mail 2"]
