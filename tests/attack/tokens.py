"""Tokens that nobody was given: changed, cut, spliced, of other purposes, of removed keys. None opens anything."""

from __future__ import annotations

import base64
import http.client
import random
import statistics
import string
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from flask import Flask
from itsdangerous import URLSafeSerializer, URLSafeTimedSerializer

from tests.helpers import factories, lookups
from webapp import links
from webapp.extensions import db, keyring, limiter
from webapp.keys import KeyRing, derive

VERIFIERS = (links.verify_approval_link, links.verify_password_link, links.verify_trusted_browser)
LETTERS = string.ascii_letters + string.digits + "-_."
ODD = LETTERS + "=!~%+/ \t\n\0é＿．ﹼ🙂"


def others(public_id: str, round: int, key: str) -> dict[str, str]:
    """Rightly made tokens that stand for something else, and ones made with what somebody might guess of the key."""
    wrong = "another secret that somebody made up"
    made = {
        "a password link": links.password_token(public_id, round),
        "a remembered browser": links.browser_token(public_id),
        "a code": links.code(public_id, round, key),
        "nobody's invitation": links.approval_token("0" * 12, round, key),
        "no signature": links.approval_token(public_id, round, key).rpartition(".")[0],
        "no content": "." + links.approval_token(public_id, round, key).rpartition(".")[2],
    }
    for name, secret in {
        "another key": derive(wrong, "approval link"),
        "no key": b"",
        "the key's name": key.encode(),
        "the key of codes": keyring().derive("code", key),
        "the key of password links": keyring().derive("password link", key),
    }.items():
        made[name] = str(URLSafeSerializer(secret, salt="approval").dumps([public_id, round]))
    mine = keyring().derive("approval link", key)
    for name, maker in {
        "another salt": URLSafeSerializer(mine, salt="password"),
        "no salt": URLSafeSerializer(mine, salt=""),
        "with a time": URLSafeTimedSerializer(mine, salt="approval"),
    }.items():
        made[name] = str(maker.dumps([public_id, round]))
    return made


def mutations(tokens: list[str], dice: random.Random) -> Iterator[str]:
    """Endless changed tokens; never one of `tokens` itself."""
    known = set(tokens)
    while True:
        token = dice.choice(tokens)
        place = dice.randrange(len(token))
        match dice.randrange(11):
            case 0:
                changed = token[:place] + dice.choice(ODD) + token[place + 1 :]
            case 1:
                changed = token[:place] + dice.choice(ODD) + token[place:]
            case 2:
                changed = token[:place] + token[place + dice.randint(1, 5) :]
            case 3:
                changed = token[: dice.randrange(len(token))]
            case 4:
                changed = token + "".join(dice.choices(ODD, k=dice.randint(1, 40)))
            case 5:
                value, _, signature = token.rpartition(".")
                changed = f"{dice.choice(tokens).rpartition('.')[0]}.{signature}" if dice.random() < 0.5 else value
            case 6:
                bits = bytearray(token.encode())
                bits[place] ^= 1 << dice.randrange(8)
                changed = bits.decode("utf-8", "replace")
            case 7:
                content = base64.urlsafe_b64encode(
                    f'["{"".join(dice.choices(string.ascii_uppercase, k=12))}",{dice.randrange(9)}]'.encode()
                ).decode().rstrip("=")  # fmt: skip
                changed = f"{content}.{token.rpartition('.')[2]}"
            case 8:
                changed = token[:place] + token[place:].swapcase()
            case 9:
                # The spare bits of the last sign, which decode to the same bytes.
                last = LETTERS.find(token[-1])
                changed = token[:-1] + LETTERS[(last + dice.randint(1, 3)) % 64]
            case _:
                changed = "".join(dice.choices(LETTERS, k=len(token)))
        if changed not in known:
            yield changed


def in_the_process(app: Flask, tokens: list[str], *, count: int, seed: int) -> int:
    """How many of `count` mutations were taken for a link, a password link or a remembered browser."""
    accepted = 0
    made = mutations(tokens, random.Random(seed))
    with app.app_context():
        for _ in range(count):
            token = next(made)
            accepted += any(read(token) for read in VERIFIERS)
    return accepted


@dataclass
class Answers:
    """Of what was sent by HTTP: statuses, the different bodies of 404s, and milliseconds for each class of token."""

    statuses: Counter[int] = field(default_factory=Counter)
    pages: set[str] = field(default_factory=set)
    elsewhere: int = 0
    times: dict[str, list[float]] = field(default_factory=dict)

    @property
    def one_class(self) -> bool:
        """Whether forged and signed tokens take the same time: the medians lie well within the middle half."""
        (low, one, high), (_, other, _) = (self.quartiles(name) for name in self.times)
        return abs(one - other) <= max((high - low) / 4, 0.2)

    def quartiles(self, name: str) -> tuple[float, float, float]:
        found = statistics.quantiles(self.times[name], n=4)
        return (found[0], found[1], found[2])


# Every address that takes a token, and what its form has beside the code.
ACTIONS: tuple[tuple[str, dict[str, str]], ...] = (
    ("/decide/{}", {}), ("/decide/{}/approval", {"reason": "No"}), ("/decide/{}/denial", {"reason": "No"}),
    ("/decide/{}/code", {"reason": "No"}), ("/password/{}", {}),
    ("/password/{}", {"password": "quite another one 1", "again": "quite another one 1"}),
)  # fmt: skip


class Wire:
    """One connection that is kept open, with a form's token and cookie as a page gave them."""

    def __init__(self, address: str, cookie: str, csrf: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
        self._cookie, self._csrf = cookie, csrf

    def ask(self, token: str, action: str, **form: str) -> tuple[int, str, float]:
        """Status, body and milliseconds of a GET, or with a form of a POST with everything that a real one has.
        `action` is an address with {} for the token."""
        path = action.format(quote(token, safe="", errors="replace"))
        headers = {"Cookie": self._cookie, "Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode({"csrf_token": self._csrf, **form}) if form else None
        began = time.perf_counter()
        self._connection.request("POST" if form else "GET", path, body, headers)
        answer = self._connection.getresponse()
        content = answer.read().decode()
        return answer.status, content, (time.perf_counter() - began) * 1000


def by_http(app: Flask, address: str, victim: Any, tokens: list[str], *, code: str, count: int, seed: int) -> Answers:
    """`count` requests with tokens that are not ours: mutations, and those of other purposes, steps and keys.

    Each carries the CSRF token and the code that the real link would need. `victim` is (public id, round, key id).
    """
    dice = random.Random(seed)
    made = mutations(tokens, dice)
    known = others(*victim)
    answers = Answers(times={"forged": [], "signed, unknown": []})
    from tests.conftest import Browser

    browser = Browser(app)
    csrf = browser.token()
    cookie = browser.client.get_cookie("countersign")
    assert cookie is not None
    wire = Wire(address, f"countersign={cookie.value}", csrf)
    limiter.enabled = False
    try:
        for number in range(count):
            token = dice.choice(list(known.values())) if number % 5 == 0 else next(made)
            action, form = dice.choice(ACTIONS)
            if action.startswith("/password/") and number % 5 == 0:
                token = dice.choice([tokens[0], tokens[2]])  # ours, for something else
            status, body, _ = wire.ask(token, action, **({"code": code} | form if form else {}))
            answers.statuses[status] += 1
            if "Nothing has been approved or denied" in body:
                answers.pages.add(body)
            else:
                answers.elsewhere += 1  # a password's link; a "/" or nothing at all: other addresses, 404 as well
        # The same number of each, in turns, by GET: what takes longer would tell them apart.
        forged = links.approval_token(*victim)[:-3] + "AAA"
        for _ in range(min(count, 1000)):
            for name, token in (("forged", forged), ("signed, unknown", known["nobody's invitation"])):
                _, _, took = wire.ask(token, "/decide/{}")
                answers.times[name].append(took)
    finally:
        limiter.enabled = True
    return answers


def guess(app: Flask, company: factories.Company, *, requests: int, guesses: int) -> tuple[int, int, int]:
    """Wrong codes typed for each of that many requests: (accepted, counted, mails that tell the approver)."""
    browser = app.test_client()
    from tests.conftest import Browser

    person = Browser(app)
    browser = person.client
    token = person.token()
    dice = random.Random(7)
    wanted = [factories.app(f"Guess {number}", company.ana) for number in range(requests)]
    limiter.enabled = False
    try:
        for one in wanted:
            made = factories.request(company.rita, one)
            right, path = lookups.code(made, company.ana), lookups.link(made, company.ana)
            for _ in range(guesses):
                code = f"{dice.randrange(1_000_000):06d}"
                if code != right:
                    browser.post(f"{path}/approval", data={"csrf_token": token, "code": code})
            # Too late: the path is closed by now.
            browser.post(f"{path}/approval", data={"csrf_token": token, "code": right})
    finally:
        limiter.enabled = True
    counted = db.session.execute(db.text("SELECT sum(wrong_codes) FROM invitations")).scalar_one()
    db.session.rollback()
    return (
        factories.rows("decisions", "channel = 'code'"),
        int(counted),
        factories.rows("notices", "kind = 'code-closed'"),
    )


def after_the_overlap(app: Flask, tokens: list[str]) -> int:
    """How many tokens are still taken once the key that made them is gone."""
    before = app.extensions["keyring"]
    app.extensions["keyring"] = KeyRing(("the key that came after the overlap",))
    try:
        return sum(any(read(token) for read in VERIFIERS) for token in tokens)
    finally:
        app.extensions["keyring"] = before
