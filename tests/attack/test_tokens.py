"""Tokens that nobody was given open nothing, tell nothing, and break nothing."""

from __future__ import annotations

import hmac
from typing import Any

import pytest

from tests.helpers import changes, factories, lookups
from webapp import links
from webapp.extensions import keyring
from webapp.keys import KeyRing

from . import tokens


@pytest.fixture
def made(company: Any) -> Any:
    return factories.request(company.rita, factories.app("Salesforce", company.ana, company.ben))


@pytest.fixture
def victim(made: Any, company: Any) -> tuple[str, int, str]:
    one = lookups.invitation(made, company.ana)
    return one.public_id, one.round, one.key_id


def real(victim: tuple[str, int, str]) -> list[str]:
    return [links.approval_token(*victim), links.password_token(victim[0], 3), links.browser_token("f" * 32)]


@pytest.mark.parametrize("engine", ["sqlite"])
def test_no_mutation_is_taken_for_a_token(app: Any, victim: Any) -> None:
    assert tokens.in_the_process(app, real(victim), count=5000, seed=20) == 0


def test_by_http_they_all_get_one_page_and_change_nothing(app: Any, made: Any, company: Any, victim: Any,
                                                          address: str) -> None:  # fmt: skip
    code = lookups.code(made, company.ana)
    before = lookups.everything()
    answers = tokens.by_http(app, address, victim, real(victim), code=code, count=150, seed=21)
    assert set(answers.statuses) <= {308, 404, 405}, "an empty token, or a / in it, makes another address"
    assert len(answers.pages) == 1
    assert lookups.everything() == before


def test_a_token_of_another_step_or_round_shows_and_decides_nothing(app: Any, login_as: Any, made: Any,
                                                                    company: Any) -> None:  # fmt: skip
    nobody = login_as(None)
    first, code = lookups.link(made, company.ana), lookups.code(made, company.ana)
    changes.new_round(nobody, made, company.ana)
    newer = lookups.code(made, company.ana)
    factories.decide(made, company.ana)  # now it is Ben's step
    bens = lookups.code(made, company.ben)
    before = lookups.everything()
    for path in (first,):
        assert nobody.get(path).status_code == 200
        for tried in (code, newer, bens):
            for verdict in ("approval", "denial"):
                form = {"code": tried, "reason": "No.", "step": str(lookups.invitation(made, company.ben).step_id)}
                assert nobody.post(f"{path}/{verdict}", form).status_code == 409
    assert lookups.everything() == before


def test_guessed_codes_close_the_path_and_the_approver_is_told(app: Any, company: Any) -> None:
    assert tokens.guess(app, company, requests=2, guesses=8) == (0, 10, 2)


def test_a_removed_key_takes_its_tokens_along(app: Any, victim: Any, monkeypatch: Any) -> None:
    kept = real(victim)
    assert tokens.after_the_overlap(app, kept) == 0
    monkeypatch.setitem(
        app.extensions, "keyring", KeyRing(("the next key of it", *app.extensions["keyring"]._secrets.values()))
    )
    read = (links.verify_approval_link, links.verify_password_link, links.verify_trusted_browser)
    assert all(one(token) for one, token in zip(read, kept, strict=True)), "while the two overlap, all go on"


@pytest.mark.parametrize("engine", ["sqlite"])
def test_every_refused_token_costs_the_same_work(app: Any, login_as: Any, made: Any, company: Any, victim: Any,
                                                 monkeypatch: Any) -> None:  # fmt: skip
    """No clock: the statements and the HMACs are counted, with two keys in the ring."""
    from tests.test_statements import counting

    old = keyring().current
    monkeypatch.setitem(
        app.extensions, "keyring", KeyRing(("the next key of it", *app.extensions["keyring"]._secrets.values()))
    )
    changes.deactivate(company.ana, company.adam)
    nobody = login_as(None)
    token = nobody.token()
    gone = links.approval_token(*victim)
    refused = {
        "forged": gone[:-3] + "AAA", "cut": gone[:-3], "no dot": "nonsense", "of somebody who left": gone,
        "unknown, old key": links.approval_token("0" * 12, 1, old),
        "unknown, new key": links.approval_token("0" * 12, 1, keyring().current),
        "a password link": links.password_token(company.rita.public_id, 0),
    }  # fmt: skip
    macs = 0
    real_compare = hmac.compare_digest

    def counted(one: Any, two: Any) -> bool:
        nonlocal macs
        macs += 1
        return bool(real_compare(one, two))

    monkeypatch.setattr("webapp.links.hmac.compare_digest", counted)
    work = {}
    for name, one in refused.items():
        for action in ("", "/approval", "/denial", "/code"):
            macs = 0
            with counting() as count:
                if action:
                    answer = nobody.client.post(f"/decide/{one}{action}", data={"csrf_token": token, "code": "123456"})
                else:
                    answer = nobody.client.get(f"/decide/{one}")
            assert answer.status_code == 404
            work[name, action] = (len(count.statements), macs)
    for action in ("", "/approval", "/denial", "/code"):
        assert len({what for (_, at), what in work.items() if at == action}) == 1, work
