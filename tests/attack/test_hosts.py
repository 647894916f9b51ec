"""Headers that lie: a poisoned Host, forwarded addresses, ways out of the site; and what every answer says itself."""

from __future__ import annotations

from dataclasses import replace as with_changes
from typing import Any

import pytest

from tests.conftest import SQLITE, Browser
from tests.helpers import factories, lookups
from tests.helpers.factories import PASSWORD
from tests.helpers.route_table import TABLE
from tests.test_routes import Screens, routes
from webapp.extensions import db
from webapp.models import PersonSession
from webapp.web import security

from .installation import send
from .test_addresses import ASKED, world  # noqa: F401
from .test_sessions import again, token  # noqa: F401

EVIL = "evil.example"
# The host that is asked for is always one of ours; these say that another was meant.
LIES = {
    "X-Forwarded-Host": EVIL, "X-Host": EVIL, "X-Original-Host": EVIL, "X-HTTP-Host-Override": EVIL,
    "X-Forwarded-Server": EVIL, "Forwarded": f"host={EVIL};proto=https;for=6.6.6.6", "X-Forwarded-Port": "4430",
    "X-Forwarded-Prefix": f"//{EVIL}", "X-Script-Name": f"//{EVIL}", "X-Original-URL": "/admin",
    "X-Rewrite-URL": "/admin",
    "X-Forwarded-Proto": "https", "X-Forwarded-Scheme": "https", "X-Forwarded-For": "6.6.6.6", "X-Real-IP": "6.6.6.6",
    "Client-IP": "6.6.6.6", "True-Client-IP": "6.6.6.6",
}  # fmt: skip
HOSTS = (
    EVIL, f"localhost.{EVIL}", f"localhost@{EVIL}", f"{EVIL}:80", f"localhost:80@{EVIL}", f"{EVIL}#localhost", "",
    f"localhost,{EVIL}", "[::ffff:6.6.6.6]", f"localhost/{EVIL}",
)  # fmt: skip
WAYS_OUT = [
    f"//{EVIL}", f"///{EVIL}", f"////{EVIL}", f"/\\{EVIL}", f"\\\\{EVIL}", f"\\/{EVIL}", f"/\t/{EVIL}", f"/\n/{EVIL}",
    f"/\r\n/{EVIL}", f"\t//{EVIL}", f" //{EVIL}", f"https:{EVIL}", f"https://{EVIL}", f"HTTPS://{EVIL}/", f"http:///{EVIL}",
    f"https:/{EVIL}", f"/%09/{EVIL}".replace("%09", "\x09"), f"/\x0b/{EVIL}", f"/\x00/{EVIL}", f"/\x7f/{EVIL}",
    f"/\u2028/{EVIL}", f"javascript:alert(1)//{EVIL}", "data:text/html,<script>alert(1)</script>", f"ftp://{EVIL}",
    f"localhost@{EVIL}", f"http://localhost@{EVIL}", f"http://localhost:80@{EVIL}", f"http://localhost.{EVIL}",
    f".{EVIL}", f"@{EVIL}", f"?next=//{EVIL}", f"#//{EVIL}", f"/\\\\{EVIL}", f"/..//{EVIL}", f"/.//{EVIL}",
    f"\u3000//{EVIL}", f"／／{EVIL}", f"/／{EVIL}", f"//{EVIL}/%2f..", "/" + "a" * 3000, f"/\x85/{EVIL}", f"x://{EVIL}",
]  # fmt: skip


@pytest.mark.parametrize("engine", [SQLITE])
def test_a_poisoned_host_gets_nothing_but_a_400(world: Screens) -> None:  # noqa: F811
    for host in HOSTS:
        for row in TABLE[:: 1 if host == EVIL else 12]:
            answer = world.ask(row, "admin", Host=host)
            assert answer.status_code == 400, (host, row.name)
            assert EVIL not in answer.text
            assert answer.data == b"" or "This address is not configured" in answer.text


@pytest.mark.parametrize("engine", [SQLITE])
def test_our_own_host_is_known_in_any_way_to_write_it(again: Any, company: Any) -> None:  # noqa: F811
    hosts = ("apps.example.com", "[2001:db8::5]", "localhost", ".internal.example")
    app = again(base_url="http://localhost", trusted_hosts=hosts)
    ours = (
        "APPS.example.com", "apps.example.com.", "apps.example.com:8080",
        "Apps.Example.Com.:8080", "[2001:DB8::5]:8944",
        "[2001:db8:0:0:0:0:0:5]", "LOCALHOST", "localhost.", "a.internal.example", "A.Internal.Example.:80",
    )  # fmt: skip
    theirs = ("[2001:db8::6]", "2001:db8::5", "apps.example.com..", "xapps.example.com", "xinternal.example",
              "127.0.0.1", "[localhost]", "localhost:99999", "apps.example.com.evil.example")  # fmt: skip
    for host in ours:
        assert app.test_client().get("/sign-in", headers={"Host": host}).status_code == 200, host
    for host in theirs:
        assert app.test_client().get("/sign-in", headers={"Host": host}).status_code == 400, host
    # The way back from a form is its Referer, which keeps the dot and has no capital letters.
    with app.test_request_context("/", headers={"Host": "LOCALHOST.:8944"}):
        security.refuse_other_hosts()
        assert security.own_path("http://localhost.:8944/catalog?q=a") == "/catalog?q=a"
        assert security.own_path("http://localhost.evil.example:8944/catalog") == "/"


@pytest.mark.parametrize("engine", [SQLITE])
def test_what_is_forwarded_without_a_trusted_proxy_changes_no_answer(world: Screens) -> None:  # noqa: F811
    for rule in routes(world.app):
        row = with_changes(ASKED[rule], method="GET", form={})
        for role in ("nobody", "requester"):
            plain, lied = world.ask(row, role), world.ask(row, role, **LIES)
            assert lied.status_code == plain.status_code, rule
            assert lied.headers.get("Location") == plain.headers.get("Location"), rule
            assert EVIL not in lied.text + str(lied.headers), rule
            for name in ("Content-Security-Policy", "Cache-Control", "Referrer-Policy", "X-Content-Type-Options"):
                assert lied.headers[name] == plain.headers[name], (rule, name)
            assert "Strict-Transport-Security" not in lied.headers


@pytest.mark.parametrize("engine", [SQLITE])
def test_every_answer_refuses_frames_and_sniffing_and_private_ones_are_kept_by_nobody(world: Screens) -> None:  # noqa: F811
    for rule in routes(world.app):
        row = with_changes(ASKED[rule], method="GET", form={})
        for role in ("nobody", "outsider", "admin"):
            headers = world.ask(row, role).headers
            policy = headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy, rule
            if "frame-ancestors 'self'" in policy:  # an email, in a frame of our own page
                assert rule.endswith("/body") and "sandbox" in policy, rule
            elif rule != "/apps/<public_id>/icon":  # a picture
                assert "frame-ancestors 'none'" in policy, rule
                assert "unsafe" not in policy, rule
            assert headers["X-Content-Type-Options"] == "nosniff"
            if rule != "/apps/<public_id>/icon":
                assert headers["Cache-Control"] == "no-store", rule
            else:
                assert "public" not in headers["Cache-Control"], rule


def test_forwarded_addresses_count_from_as_many_proxies_as_are_trusted(app: Any, again: Any, rita: Any) -> None:  # noqa: F811
    factories.with_password(rita)
    spoofed = {"X-Forwarded-For": "1.1.1.1, 2.2.2.2, 3.3.3.3", "X-Forwarded-Host": EVIL, "X-Forwarded-Proto": "https"}
    for proxies, address in ((0, "127.0.0.1"), (1, "3.3.3.3"), (2, "2.2.2.2")):
        client = again(trusted_proxies=proxies).test_client()
        page = client.get("/sign-in", headers=spoofed)
        assert page.status_code == 200 and EVIL not in page.text
        form = {"csrf_token": token(page), "email": "rita@example.com", "password": PASSWORD}
        answer = client.post("/sign-in", data=form, headers=spoofed)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/")
        newest = db.session.query(PersonSession).order_by(PersonSession.id.desc()).first()
        assert newest is not None and newest.address == address
        db.session.rollback()


def test_no_mail_takes_its_links_from_the_request(app: Any, company: Any, smtp: Any) -> None:
    factories.with_password(company.rita)
    wanted = factories.app("Benevity", company.ana)
    rita, nobody = Browser(app, company.rita), Browser(app)
    lies = {**LIES, "Host": "localhost:6666", "Referer": f"https://{EVIL}/", "Origin": f"https://{EVIL}"}
    form = {"csrf_token": rita.token(), "message": "Please."}
    assert rita.client.post(f"/catalog/{wanted.public_id}/request", data=form, headers=lies).status_code == 303
    form = {"csrf_token": nobody.token(), "email": "rita@example.com"}
    nobody.client.post("/password/forgot", data=form, headers=lies)
    send()
    assert len(smtp.mails) == 2
    for mail in smtp.mails:
        assert EVIL.encode() not in mail.content and b"6666" not in mail.content
        assert "http://localhost/" in mail.text


def test_nothing_leads_out_of_the_site(app: Any, company: Any, login_as: Any) -> None:
    factories.with_password(company.rita)
    signed_in = login_as(company.rita)
    for way in WAYS_OUT:
        client = app.test_client()
        page = client.get("/sign-in", query_string={"next": way})
        form = {"csrf_token": token(page), "email": "rita@example.com", "password": PASSWORD, "next": way}
        for answer in (
            client.post("/sign-in", data=form),
            signed_in.client.get("/sign-in", query_string={"next": way}),
        ):
            assert answer.status_code == 303, way
            to = answer.headers["Location"]
            # As a browser reads it: no scheme, no host, and nothing that it drops or turns round on the way.
            assert to.startswith("/") and to[1:2] not in ("/", "\\"), (way, to)
            assert not any(ord(sign) < 33 or ord(sign) == 127 or sign == "\\" for sign in to), (way, to)
        plain = "".join(sign for sign in way if 32 < ord(sign) < 127)
        data = {"csrf_token": signed_in.token(), "theme": "dark"}
        headers = {"Referer": plain, "HX-Current-URL": plain}
        to = signed_in.client.post("/account/theme", data=data, headers=headers).headers["Location"]
        assert to.startswith("/") and to[1:2] not in ("/", "\\"), (way, to)


def test_over_https_each_cookie_is_secure_out_of_reach_of_scripts_and_of_other_hosts(again: Any, company: Any) -> None:  # noqa: F811
    here = "https://apps.example.com"
    factories.with_password(company.ana)
    made = factories.request(company.rita, factories.app("Benevity", company.ana))
    path, code = lookups.link(made, company.ana), lookups.code(made, company.ana)
    app = again(base_url=here, trusted_hosts=("apps.example.com",), mailbox=False, demo=False)
    client = app.test_client()
    page = client.get(path, base_url=here)
    form = {"csrf_token": token(page), "code": code, "remember": "1"}
    answer = client.post(f"{path}/approval", data=form, base_url=here)
    door = app.test_client()
    form = {"csrf_token": token(door.get("/sign-in", base_url=here)), "email": company.ana.email}
    entered = door.post("/sign-in", data={**form, "password": factories.PASSWORD}, base_url=here)
    assert entered.status_code == 303
    cookies = [one for each in (page, answer, entered) for one in each.headers.getlist("Set-Cookie")]
    names = ("countersign", "countersign_decisions", "countersign_device")
    assert {one.partition("=")[0] for one in cookies} == {f"__Host-{name}" for name in names}
    # Under its earlier name, or from another site below the same domain, a cookie is nobody's, and is taken away.
    session = door.get_cookie("__Host-countersign", domain="apps.example.com").value
    planted = app.test_client()
    planted.set_cookie("countersign", session, domain="apps.example.com")
    refused = planted.get("/account", base_url=here)
    assert refused.status_code == 303
    assert any(one.startswith("countersign=;") for one in refused.headers.getlist("Set-Cookie"))
    assert door.get("/account", base_url=here).status_code == 200
    for cookie in cookies:
        for flag in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/;"):
            assert flag in cookie, cookie
        assert "Domain" not in cookie
    assert answer.headers["Strict-Transport-Security"]
