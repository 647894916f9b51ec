"""The mail sink speaks real SMTP and keeps what it took."""

import smtplib
import socket
import subprocess
import sys

import pytest

from tests.helpers.processes import PROJECT, until
from webapp.embedded import mailstore, sink


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sink") / "mailbox"


@pytest.fixture(scope="module")
def port(folder):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = subprocess.Popen(
            [sys.executable, "-m", "webapp.embedded.sink", str(folder), str(listener.fileno())],
            cwd=PROJECT,
            pass_fds=[listener.fileno()],
        )
        yield listener.getsockname()[1]
        process.terminate()
        assert process.wait(5) == 0


@pytest.fixture
def client(port):
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
        yield client


def test_a_mail_is_kept_as_it_was_sent(client, folder):
    content = b"Subject: Signed\r\nTo: Ana <ana@example.com>\r\n\r\n.one dot\r\n..two dots\r\n"
    client.sendmail("c@example.com", ["ana@example.com", "ben@example.com"], content)
    mail = mailstore.page(folder, words="signed").mails[0]
    assert (mail.sender, mail.addresses) == ("c@example.com", ("ana@example.com", "ben@example.com"))
    assert (folder / f"{mail.id}.eml").read_bytes().endswith(content)


def test_several_mails_go_through_one_connection(client, folder):
    for number in range(3):
        client.sendmail("c@example.com", ["ana@example.com"], f"Subject: Batch {number}\r\n\r\nHi\r\n")
    assert len(mailstore.page(folder, words="batch").mails) == 3


def test_an_address_in_utf8_is_taken(client, folder):
    client.sendmail("c@example.com", ["zoë@example.com"], b"Subject: Utf8\r\n\r\nHi\r\n", mail_options=["SMTPUTF8"])
    assert mailstore.page(folder, to="zoë@example.com").mails


def test_a_mail_that_is_too_large_is_refused(client, folder):
    line = b"x" * 900 + b"\r\n"
    large = b"Subject: Large\r\n\r\n" + line * (sink.LARGEST // len(line) + 1)
    with pytest.raises(smtplib.SMTPResponseException) as refused:
        client.sendmail("c@example.com", ["ana@example.com"], large)
    assert refused.value.smtp_code in (523, 552)
    assert not mailstore.page(folder, words="large").mails


def test_nothing_unfinished_is_left(client, folder):
    client.sendmail("c@example.com", ["ana@example.com"], b"Subject: Last\r\n\r\nHi\r\n")
    until(lambda: not list(folder.glob(".*.tmp")), within=2)
