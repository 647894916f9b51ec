"""Hostile words through every field: nothing runs, nothing breaks, nothing is lost."""

from __future__ import annotations

from typing import Any

import pytest

from tests.smtp_server import Accepted

from . import payloads


def test_the_corpus_is_large_enough() -> None:
    assert len(payloads.corpus()) > 500


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_sample_of_each_family_in_pages_mails_tables_and_logs(
    app: Any, company: Any, smtp: Any, address: str, chromium: Any
) -> None:
    """Every twenty-ninth of the corpus; all of it by `python -m tests.attack input`."""
    found = payloads.throw(app, company, payloads.corpus()[::29], smtp, chromium, address)
    assert found.wrong == []
    assert found.pages > 15 and found.mails > 20 and found.cells > 500 and found.lines > 300


def test_what_is_hard_to_read_breaks_no_field_on_either_engine(app: Any, company: Any, smtp: Any, address: str) -> None:
    words = ["\0", "a\0b", "\U0001fffe", "\ud800", "Z" + "\u0301" * 200, "İstanbul", *payloads.ADDRESSES[::6]]
    found = payloads.throw(app, company, words, smtp, None, address)
    assert found.wrong == []


@pytest.mark.parametrize("engine", ["sqlite"])
def test_what_would_run_is_seen(app: Any, smtp: Any, chromium: Any) -> None:
    """The look itself: words that were not escaped are found by it."""
    for words in ("<img src=x onerror=\"window.pwned=1\">", "<script>alert(1)</script>",
                  "<img src=//evil.example/pixel.gif>"):  # fmt: skip
        mail = f"Subject: x\r\nContent-Type: text/html\r\n\r\n<p>{words}</p>".encode()
        smtp.mails[:] = [Accepted("a@example.com", ["b@example.com"], mail, ("", 0), 0.0)]
        found = payloads.Findings()
        payloads.look_at_mails_in_a_browser(chromium, smtp, found)
        assert found.wrong, words
