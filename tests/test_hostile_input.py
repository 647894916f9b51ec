"""Names, messages, reasons and fields that want to be HTML, scripts, templates, headers or something unreadable.

Pages keep the same tags whatever people write, show it as they wrote it, and no secret gets into a log.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from tests.conftest import SQLITE, Browser
from tests.helpers import changes, factories, lookups, pages
from tests.helpers.rules import READ, WRITE, rule
from tests.helpers.skeleton import Skeleton
from webapp.database.transactions import choose
from webapp.extensions import db
from webapp.models import AccessRequest, App, Comment, Group, Person
from webapp.operations import _repeat_limits, apps
from webapp.text import clean, one_line, storable
from webapp.workflow.actor import SYSTEM
from webapp.workflow.entitlements import Entitlement
from webapp.workflow.policy import Policy
from webapp.workflow.states import Verdict

CORPUS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)><svg onload=alert(1)>",
    "\"><script src=//evil.example></script><a href='",
    "' onmouseover='alert(1)' x=' \" onfocus=\" autofocus `",
    "</textarea></title></style></blockquote><h1>Approved</h1><!--",
    "<![CDATA[<b>]]> <?php echo 1 ?> <%= 7*7 %>",
    "{{ 7*7 }} {% raw %} {# no #} ${7*7} #{7*7} {{ config }} {{ me.password_hash }}",
    "%s %n %(password)s %d {0} {name} {0.__class__} \\0 \\x41",
    "javascript:alert(1) data:text/html,<script>alert(1)</script>",
    "&lt;b&gt; &amp;amp; &#60;i&#62; &nbsp;",
    "Rita\r\nSet-Cookie: a=b\r\nLocation: https://evil.example\r\n\r\n<html>",
    "a\x00b\x01\x02\x07\x08\x0b\x0c\x1b[31m\x7f\x85",
    "\u202egnp.exe\u202c \u2066x\u2069 \u200e\u200f\u061c",
    "zero\u200bwidth\u200d\ufeff soft\u00ad Z\u0301\u0302\u0303\u0304\u0305\u0306\u0307",
    "line\u2028para\u2029end \u3000 ideographic",
    "\ufffe\uffff\U0001fffe 👩‍👩‍👧‍👦 🏳️‍🌈 İstanbul ß ﬁ Ω≈ç√",
    "'; DROP TABLE people; -- \\' OR 1=1 %_!",
    "../../../etc/passwd ..\\..\\ /decide/x?y=z#w",
    "long " * 300,
    "W" * 2000,
    "   ",
    "-",
    "0",
    "None",
]
PLAIN = "plain words"


def check(source: str) -> Skeleton:
    """No attribute that runs anything, no script but ours, no address but ours and the apps' own."""
    page = Skeleton(source)
    for tag, names in page.tags:
        assert not [name for name in names if name.startswith("on") or name == "style"], (tag, names)
        assert tag not in ("iframe", "object", "embed", "base", "style"), tag
        if tag == "script":
            assert "src" in names
    for address in page.addresses:
        assert address.startswith(("/", "#", "closest ", "https://apptio.example/")) and not address.startswith("//"), (
            address
        )
    return page


class Scene:
    """One of everything, whose words are then changed in place, as they would be stored."""

    def __init__(self, company: Any) -> None:
        fields = (
            Entitlement("role", "Role", "choice", ("Reader", "Writer"), requester=WRITE, help=PLAIN),
            Entitlement("area", "Area", "choices", ("EMEA", "APAC"), requester=WRITE),
            Entitlement("cost", "Cost", "text"),
            Entitlement("team", "Team", "text", requester=READ, default=PLAIN),
        )
        see = ({"role": READ, "cost": WRITE, "team": READ},) * 2
        self.policy = policy = rule(company.ana, company.finance, see=see, entitlements=fields)
        self.app = factories.app(
            "Apptio", policy=policy, owner=company.adam, description=PLAIN, category=PLAIN, note=PLAIN,
            launch_url="https://apptio.example/",
        )  # fmt: skip
        free = factories.app("Free", policy=Policy(approval_required=False), launch_url="https://apptio.example/")
        given = {"role": ["Reader"], "area": ["EMEA"]}
        denied = factories.request(company.rita, self.app, message=PLAIN, given=given)
        factories.decide(denied, company.ana, Verdict.DENIED, PLAIN)
        self.made = factories.request(company.rita, self.app, message=PLAIN, given=given)
        changes.comment(self.made, company.rita, PLAIN)
        factories.decide(self.made, company.ana, comment=PLAIN, given={"cost": [PLAIN]})
        cancelled = factories.request(company.otto, self.app, message=PLAIN)
        choose("write")
        factories.requests.cancel(
            factories.case_of(cancelled), actor=company.adam, reason=PLAIN, now=factories.clock.now()
        )
        factories.outbox.commit()
        made = self.made.public_id
        pages = {
            company.rita: ["/", "/requests", "/catalog", f"/requests/{made}", f"/requests/{denied.public_id}",
                           f"/catalog/{free.public_id}/request"],
            company.otto: ["/", f"/catalog/{self.app.public_id}/request?again={cancelled.public_id}",
                           f"/requests/{cancelled.public_id}"],
            company.ben: ["/", "/approvals", f"/approvals/{made}", f"/requests/{made}"],
            company.ana: ["/approvals", "/approvals/decided", f"/approvals/{made}"],
            company.adam: [f"/requests/{made}", "/account"],
            None: [lookups.link(self.made, company.ben), lookups.link(self.made, company.ana)],
        }  # fmt: skip
        self.pages = list(pages.items())

    def write(self, words: str) -> None:
        """Stores the words wherever people can write, cleaned and cut as operations do."""
        name = one_line(words)[:60] or "-"
        text = clean(words)[:500]
        db.session.rollback()
        choose("write")
        for number, person in enumerate(db.session.query(Person).order_by(Person.id)):
            person.rename(f"{name} {number}")
            person.about = name
        for number, group in enumerate(db.session.query(Group).order_by(Group.id)):
            group.rename(f"{name} {number}")
        for number, app in enumerate(db.session.query(App).order_by(App.id)):
            app.describe(name=f"{name} {number}", description=text or "-", category=name)
            app.note = text or "-"
        for request in db.session.query(AccessRequest):
            request.message = text or "-"
            request.settled_note = (text or "-") if request.state == "cancelled" else ""
            stored = json.loads(request.values_json)
            for key in ("cost", "team"):
                if key in stored:
                    stored[key]["value"] = name
            request.values_json = json.dumps(stored)
        for comment in db.session.query(Comment):
            comment.body = text or "-"
        # The rule in force is what the dialog shows; those of pending requests stay as they are.
        policy = replace(
            self.policy,
            entitlements=tuple(
                replace(
                    one, name=f"{name} {one.id}", help=name,
                    options=tuple(f"{name} {option}" for option in one.options),
                )
                for one in self.policy.entitlements
            ),
        )  # fmt: skip
        apps.save_policy(db.session.merge(self.app), policy, actor=SYSTEM, now=factories.clock.now())
        db.session.commit()


def test_pages_have_the_same_tags_whatever_people_write(app: Any, company: Any, engine: str) -> None:
    """Half of the corpus on each engine: what a page does with words does not depend on it."""
    scene = Scene(company)
    browsers = [(Browser(app, person), paths) for person, paths in scene.pages]

    def look(words: str) -> dict[tuple[int, str], Skeleton]:
        scene.write(words)
        seen = {}
        for number, (browser, paths) in enumerate(browsers):
            for path in paths:
                answer = browser.get(path)
                assert answer.status_code in (200, 409), (path, words)
                seen[number, path] = check(answer.get_data(as_text=True))
        return seen

    before = look(PLAIN)
    for words in CORPUS[engine == SQLITE :: 2]:
        after = look(words)
        for key, page in after.items():
            assert page.tags == before[key].tags, (key, words)
        shown = " ".join((one_line(words)[:60] or "-").split())
        for key in ((0, "/"), (3, "/approvals"), (0, f"/requests/{scene.made.public_id}")):
            assert f"{shown} 1" in after[key].text, (key, words)


def test_what_people_type_comes_back_as_typed(app: Any, company: Any, monkeypatch: Any) -> None:
    """Refused, it stands in the form again; taken, on the page."""
    monkeypatch.setattr(_repeat_limits, "COMMENTS_AN_HOUR", 10**6)
    benevity = factories.app("Benevity", policy=rule(company.ana, entitlements=(
        Entitlement("role", "Role", "choice", ("Reader",), required=True, requester=WRITE),
        Entitlement("team", "Team", "text", requester=WRITE),
    ), see=({"team": READ},)))  # fmt: skip
    rita, ana = Browser(app, company.rita), Browser(app, company.ana)
    made = factories.request(company.otto, benevity, given={"role": ["Reader"]})
    ask, say = f"/catalog/{benevity.public_id}/request", f"/requests/{made.public_id}"
    for number, words in enumerate(CORPUS):
        htmx = number % 2 == 0
        asked = rita.post(ask, {"message": words, "field-role": words, "field-team": words}, htmx=htmx)
        denied = ana.post(f"{say}/denial", {"reason": " ", "comment": words}, htmx=not htmx)
        for answer in (asked, denied):
            assert answer.status_code == 422, words
            assert pages.typed(answer, storable(words)), words
            assert storable(words).strip() in "".join(check(answer.get_data(as_text=True)).texts), words
        assert storable(words) in check(asked.get_data(as_text=True)).values, words
        if clean(words) and len(clean(words)) <= 1000:
            told = ana.post(f"{say}/comments", {"comment": words}, htmx=True)
            assert clean(words) in "".join(check(told.get_data(as_text=True)).texts), words


def test_a_message_with_a_value_goes_all_the_way(app: Any, company: Any) -> None:
    """Asked, shown to the approver, approved with a comment, shown to the requester: unchanged but for `clean`."""
    policy = rule(
        company.ana,
        see=({"team": READ},),
        entitlements=(Entitlement("team", "Team", "text", requester=WRITE),),
    )
    ana = Browser(app, company.ana)
    three = [[one[:190] for one in CORPUS[start : start + 3]] for start in range(0, len(CORPUS), 3)]
    for number, (message, value, comment) in enumerate(three):
        person = factories.person(f"Person{number:02d} Of Many")
        browser = Browser(app, person)
        wanted = factories.app(f"{one_line(message)[:60]} {number}", policy=policy)
        answer = browser.post(f"/catalog/{wanted.public_id}/request", {"message": message, "field-team": value})
        assert answer.status_code == 303, message
        assert "evil.example" not in str(answer.headers)
        assert "a=b" not in str(answer.headers)
        id = answer.headers["Location"].rpartition("/")[2]
        page = "".join(check(ana.get(f"/approvals/{id}").get_data(as_text=True)).texts)
        assert clean(message) in page
        assert clean(value) in page
        ana.post(f"/requests/{id}/approval", {"comment": comment})
        page = "".join(check(browser.get(f"/requests/{id}").get_data(as_text=True)).texts)
        assert all(clean(one) in page for one in (message, value, comment))
        stored = db.session.query(AccessRequest).filter_by(public_id=id).one()
        assert stored.message == clean(message)
        assert [one.value for one in stored.values.values()] == ([clean(value)] if clean(value) else [])
        db.session.rollback()


def test_addresses_queries_and_headers_of_any_kind_are_no_failure(app: Any, company: Any) -> None:
    made = factories.request(company.rita, factories.app("Benevity", company.ana))
    browser = Browser(app, company.ana)
    headers = ("User-Agent", "HX-Current-URL", "Referer", "X-Request-Id", "Accept-Language", "Content-Type")
    for words in CORPUS:
        word = quote(words.encode("utf-8", "replace"), safe="")[:1800]
        for path in (
            f"/catalog?q={word}&category={word}&after={word}", f"/catalog?after=1:{word}", f"/requests?before={word}",
            f"/approvals?after={word}",
        ):  # fmt: skip
            answer = browser.get(path)
            assert answer.status_code == 200, path
            check(answer.get_data(as_text=True))
        for path in (f"/requests/{word}", f"/catalog/{word}/request", f"/decide/{word}", f"/{word}"):
            answer = browser.get(path)
            assert answer.status_code in (200, 404, 308), path
            assert "evil.example" not in answer.headers.get("Location", "")
        plain = "".join(sign for sign in words if sign not in "\r\n\0").encode("latin-1", "replace").decode("latin-1")
        answer = browser.client.get("/", headers=dict.fromkeys(headers, plain))
        assert answer.status_code == 200, words
        answer = app.test_client(use_cookies=False).get("/", headers={"Cookie": f"countersign={plain}"})
        assert answer.status_code == 303, words
        assert answer.headers["Location"] == "/sign-in"
    for bytes_ in (b"%ED%A0%80", b"%FF%FE", b"%00", b"%C0%AF", b"%F4%90%80%80"):
        body = b"csrf_token=" + browser.token().encode() + b"&reason=" + bytes_ + b"&step=" + bytes_
        answer = browser.client.post(
            f"/requests/{made.public_id}/comments", data=body + b"&comment=a" + bytes_,
            content_type="application/x-www-form-urlencoded",
        )  # fmt: skip
        assert answer.status_code == 303, bytes_
        assert browser.get(f"/requests/{made.public_id}").status_code == 200


def test_forms_of_any_shape_are_no_failure(app: Any, company: Any) -> None:
    made = factories.request(company.rita, factories.app("Benevity", company.ana))
    browser, nobody = Browser(app, company.ana), Browser(app)
    token = browser.token()
    address = lookups.link(made, company.ana)
    for step in ("²", "-1", "9" * 30, "1e9", "", " 1", "٣", "x" * 5000, "\0"):
        answer = browser.post(f"/requests/{made.public_id}/denial", {"step": step, "reason": ""})
        assert answer.status_code in (409, 422), step
        answer = nobody.post(f"{address}/denial", {"step": step, "reason": "", "code": step})
        assert answer.status_code == 422, step
    for body, kind in (
        (b"{", "application/json"), (b"[1]", "application/json"), (b"\xff\xfe", "application/x-www-form-urlencoded"),
        (b"--x\r\nbroken", "multipart/form-data; boundary=x"), (b"", "multipart/form-data"), (b"&&&===", "text/plain"),
    ):  # fmt: skip
        answer = browser.client.post(f"/requests/{made.public_id}/approval", data=body, content_type=kind)
        assert answer.status_code == 400, kind
        answer = browser.client.post(
            f"/requests/{made.public_id}/denial", data=body, content_type=kind, headers={"X-CSRFToken": token}
        )
        assert answer.status_code in (400, 422), kind
    for size, status in ((200_000, 422), (2_000_000, 413)):
        answer = browser.post(f"/requests/{made.public_id}/comments", {"comment": "x" * size})
        assert answer.status_code == status, size
    assert lookups.decisions(made) == []
