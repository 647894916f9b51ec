"""The big attacks: `python -m tests.attack scanner|tokens|input|api`. Each prints its figures and fails on a finding.

    python -m tests.attack scanner --mails 500            # every behaviour of robots.py on 500 mails
    python -m tests.attack tokens --process 1000000 --http 10000 --seed 1
    python -m tests.attack api --cases 20000 --seed 1      # calls made from the OpenAPI document
    python -m tests.attack input                           # the whole corpus through every field, in a real browser

The last one goes through the corpus leg by leg, writes down each that held, and goes on with the others when it is
started again. With --database postgresql on PostgreSQL, else on SQLite.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.chaos.ledger import Ledger
from tests.conftest import POSTGRESQL, SQLITE
from tests.helpers import factories, lookups
from tests.helpers.chromium import launch
from webapp import links

from .installation import installation, serving
from .robots import Robot

# Payloads in one fresh installation: in a larger one every list is long, and walking through it all that takes time.
LEG = 40


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__.splitlines()[0])
    parser.add_argument("--database", choices=(SQLITE, POSTGRESQL), default=SQLITE)
    attacks = parser.add_subparsers(dest="attack", required=True)
    scanner = attacks.add_parser("scanner", help="mail scanners on the links of real mails")
    scanner.add_argument("--mails", type=int, default=500)
    scanner.add_argument("--browsed", type=int, default=None, help="so many of them in a browser (else all)")
    tokens = attacks.add_parser("tokens", help="tokens that nobody was given, and guessed codes")
    tokens.add_argument("--process", type=int, default=1_000_000)
    tokens.add_argument("--http", type=int, default=10_000)
    tokens.add_argument("--guessed", type=int, default=100, help="requests whose code is guessed at")
    tokens.add_argument("--seed", type=int, default=None)
    words = attacks.add_parser("input", help="hostile words through every field")
    words.add_argument("--data", type=Path, default=Path("var/attack"), help="where the legs that held are kept")
    calls = attacks.add_parser("api", help="calls of the API made from its document, with every kind of token")
    calls.add_argument("--cases", type=int, default=20_000)
    calls.add_argument("--seed", type=int, default=None)
    given = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    began = time.monotonic()
    attack: Callable[[argparse.Namespace], bool] = {
        "scanner": run_scanner, "tokens": run_tokens, "input": run_input, "api": run_calls,
    }[given.attack]  # fmt: skip
    held = attack(given)
    print(f"{'Held' if held else 'BROKEN'} after {time.monotonic() - began:,.0f} s, {given.database}, "
          f"{os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}.")  # fmt: skip
    return 0 if held else 1


def run_scanner(given: argparse.Namespace) -> bool:
    from .scanner import digits, gauntlet

    with installation(given.database) as (app, smtp), serving(app) as address, sync_playwright() as playwright:
        company = factories.company()
        chromium = launch(playwright)
        result = gauntlet(
            app, company, smtp, address, mails=given.mails, chromium=chromium, browsed=given.browsed,
            say=lambda words: print(words, flush=True),
        )  # fmt: skip
        chromium.close()
        typed = digits(company, smtp, address, mails=min(given.mails, 50))
    print(
        f"{result.mails} mails, {sum(result.visits.values()):,} visits; answers to plain HTTP: {dict(Robot.statuses)}"
    )
    print(f"decisions by scanners: {result.decisions}; requests they ended: {result.failures}; mails they caused: "
          f"{result.extra}; decided afterwards from the same link: {result.decided_after}")  # fmt: skip
    print(f"six digits typed on {typed.mails} mails: {typed.decisions} decisions; "
          f"decided afterwards by a new code: {typed.decided_by_a_new_code}")  # fmt: skip
    return (
        result.decisions == result.failures == typed.decisions == 0
        and result.decided_after == result.mails
        and typed.decided_by_a_new_code == typed.mails
        and result.extra <= 3 * result.mails  # the same mail once more, ten minutes later, three times a day
        and not any(status >= 500 for status in Robot.statuses)
    )


def run_calls(given: argparse.Namespace) -> bool:
    from . import calls

    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(1_000_000)
    print(f"seed {seed}")
    with installation(given.database) as (app, _):
        for found in calls.run(app, cases=given.cases, number=seed):
            print(f"{found.calls:,} calls, {len(found.faults)} faults, answers {found.by_status}", flush=True)
    print(f"operations without one good answer: {', '.join(found.never_done) or 'none'}")
    print("\n".join(found.faults[:30]))
    return not found.faults


def run_tokens(given: argparse.Namespace) -> bool:
    from . import tokens

    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(1_000_000)
    print(f"seed {seed}")
    with installation(given.database) as (app, _), serving(app) as address:
        company = factories.company()
        made = factories.request(company.rita, factories.app("Salesforce", company.ana))
        one, code = lookups.invitation(made, company.ana), lookups.code(made, company.ana)
        victim = one.public_id, one.round, one.key_id
        real = [
            links.approval_token(*victim),
            links.password_token(company.ana.public_id, 0),
            links.browser_token("f" * 32),
        ]
        accepted = tokens.in_the_process(app, real, count=given.process, seed=seed)
        print(f"in the process: {given.process:,} changed tokens, {accepted} accepted", flush=True)
        before = lookups.everything()
        answers = tokens.by_http(app, address, victim, real, code=code, count=given.http, seed=seed)
        unchanged = lookups.everything() == before
        print(f"by HTTP: {given.http:,} tokens, answers {dict(answers.statuses)}, {len(answers.pages)} different pages "
              f"for a link that is not valid, {answers.elsewhere:,} of them at other addresses; "
              f"every table unchanged: {unchanged}")  # fmt: skip
        for name in answers.times:
            low, middle, high = answers.quartiles(name)
            print(f"  {name}: {len(answers.times[name]):,} GETs, quartiles {low:.2f} / {middle:.2f} / {high:.2f} ms")
        gone = tokens.after_the_overlap(app, real)
        print(f"with the key removed: {gone} of {len(real)} accepted")
        guessed = tokens.guess(app, company, requests=given.guessed, guesses=50)
        print(f"codes: {given.guessed} requests, 50 guesses each: {guessed[0]} accepted, {guessed[1]} counted, "
              f"{guessed[2]} approvers told by mail")  # fmt: skip
    return (
        accepted == gone == guessed[0] == 0
        and set(answers.statuses) <= {308, 404, 405}  # of empty tokens and "/" in them: other addresses
        and len(answers.pages) == 1
        and answers.one_class
        and unchanged
        and guessed[1] == 5 * given.guessed
        and guessed[2] == given.guessed
    )


def run_input(given: argparse.Namespace) -> bool:
    from . import payloads

    corpus, ledger = payloads.corpus(), Ledger(given.data)
    what, wrong = named(corpus), Counter[str]()
    for first in left(ledger, given.database, corpus):
        words, began = corpus[first : first + LEG], time.monotonic()
        with installation(given.database) as (app, smtp), serving(app) as address, sync_playwright() as playwright:
            chromium = launch(playwright)
            found = payloads.throw(app, factories.company(), words, smtp, chromium, address)
            chromium.close()
        wrong.update(found.wrong)
        if not found.wrong:
            ledger.add(what, given.database, first, payloads=found.payloads, statuses=found.statuses,
                       pages=found.pages, mails=found.mails, cells=found.cells, lines=found.lines)  # fmt: skip
        print(f"payloads {first} to {first + len(words) - 1}: {'BROKEN' if found.wrong else 'held'} after "
              f"{time.monotonic() - began:,.0f} s", flush=True)  # fmt: skip
    sums = ledger.sums(what, given.database)
    answers = {name.removeprefix("statuses "): n for name, n in sorted(sums.items()) if name.startswith("statuses ")}
    print(f"{sums['payloads']} of {len(corpus)} payloads held, answers {answers}; looked at: {sums['pages']:,} pages "
          f"and {sums['mails']:,} mails in a browser, {sums['cells']:,} cells, "
          f"{sums['lines']:,} lines of the log")  # fmt: skip
    for sentence, times in wrong.most_common(40):
        print(f"  {times} times: {sentence}")
    return not wrong


def named(corpus: list[str]) -> str:
    """What the ledger calls the legs of this corpus; those of another one have another name."""
    return f"input {hashlib.sha256(repr(corpus).encode()).hexdigest()[:8]}"


def left(ledger: Ledger, database: str, corpus: list[str]) -> Iterator[int]:
    """Where the legs begin that have not held yet: the place of a leg's first payload in the corpus is its seed."""
    done = {leg["seed"] for leg in ledger.of(named(corpus), database)}
    return (first for first in range(0, len(corpus), LEG) if first not in done)


if __name__ == "__main__":
    sys.exit(main())
