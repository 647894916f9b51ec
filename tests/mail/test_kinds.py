"""Each kind of notice has its row, its renderer, its templates, its emails in tests/emails and its preview."""

from __future__ import annotations

import ast
from pathlib import Path

import webapp
from tests.mail.test_wording import EMAILS
from webapp.admin.previews import KINDS as PREVIEWS
from webapp.delivery.mail.kinds import RENDERERS
from webapp.notices import NOTICE_KINDS, NoticeKind, kind_of

WEBAPP = Path(webapp.__file__).parent
TEMPLATES = WEBAPP.parent / "templates" / "email"


def test_every_kind_has_a_row_a_renderer_and_a_folder_of_three_templates() -> None:
    assert set(NOTICE_KINDS) == set(RENDERERS) == set(NoticeKind)
    folders = {
        folder.name: {file.name for file in folder.iterdir()} for folder in TEMPLATES.iterdir() if folder.is_dir()
    }
    assert folders == {kind.value: {"subject.txt", "body.txt", "body.html"} for kind in NoticeKind}


def test_the_emails_of_the_tests_show_each_kind_in_each_of_its_roles() -> None:
    found: dict[str, set[str]] = {}
    for make in EMAILS.values():
        notice = make().notice
        found.setdefault(notice.kind, set()).add(notice.role)
    assert found == {kind.value: set(row.roles) for kind, row in NOTICE_KINDS.items()}


def test_every_preview_is_one_of_a_kind_in_its_roles_and_the_reverse() -> None:
    assert {name: preview.notice for name, preview in PREVIEWS.items()} == {
        row.preview: kind for kind, row in NOTICE_KINDS.items() if row.preview
    }
    for preview in PREVIEWS.values():
        assert set(preview.roles) <= set(NOTICE_KINDS[preview.notice].roles)


def test_every_kind_is_written_somewhere_and_none_as_a_free_string() -> None:
    named, free = set(), []
    for file in (WEBAPP / "operations").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "NoticeKind":
                named.add(NoticeKind[node.attr])
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "notice":
                free += [(file.name, node.lineno)] if isinstance(node.args[0], ast.Constant) else []
    # The outcome of a request makes these from the name of the state.
    named |= {NoticeKind.REQUEST_APPROVED, NoticeKind.REQUEST_DENIED, NoticeKind.REQUEST_EXPIRED}
    assert named == set(NoticeKind)
    assert free == []


def test_a_kind_of_a_newer_version_is_shown_by_its_name() -> None:
    row = kind_of("moon-landed")
    assert (row.title, row.about, row.in_history) == ("moon-landed",) * 3
