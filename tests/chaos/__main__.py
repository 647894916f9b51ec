"""`bin/chaos`: the promises of Countersign, tried on the real stack. Each command says what it proves."""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from pathlib import Path

from tests.chaos.ledger import Ledger
from tests.chaos.round import WHERE, Plan, Round, rounds
from tests.chaos.stack import ENGINES, stop_on_sigterm

FULL = {"requests": 2_000, "points": 25, "kills": 300}
SMALL = Plan(requests=50, kills_at_points=1, random_kills=3, redis_down=(0.5,), database_crashes=1, smtp_faults=2,
             askers=10, apps=14, quiet=0.1, sweep=0.5, passings=1, longest=240)  # fmt: skip


def say(words: str) -> None:
    print(words, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/chaos", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("var/chaos"), help="where the ledger is (var/chaos)")
    commands = parser.add_subparsers(dest="command", required=True)

    run = commands.add_parser("run", help="kill and fault everything at random, then check every invariant")
    run.add_argument("--database", choices=ENGINES, help="only this one")
    run.add_argument("--seed", type=int, help="the same order of faults as a run that printed it")
    run.add_argument("--minutes", type=float, default=60, help="begin no new round after so long on each (60)")
    run.add_argument("--small", action="store_true", help="one short round on each, for bin/test")
    run.set_defaults(work=_run)

    options = parser.parse_args()
    stop_on_sigterm()
    try:
        return int(options.work(options))
    except KeyboardInterrupt:
        say("Stopped. What is finished is in the ledger.")
        return 130


def _engines(options: argparse.Namespace) -> list[str]:
    return [options.database] if options.database else list(ENGINES)


def _seed(options: argparse.Namespace) -> int:
    seed: int = options.seed if options.seed is not None else secrets.randbelow(1_000_000)
    say(f"Seed {seed}.")
    return seed


def _run(options: argparse.Namespace) -> int:
    """Rounds until the goal is reached or the time is over; what earlier runs did counts."""
    ledger, bad = Ledger(options.data), 0
    seed = _seed(options)
    for engine in _engines(options):
        until = time.monotonic() + options.minutes * 60
        for one in rounds(seed):
            report = Round(engine, one, SMALL if options.small else Plan(), say).run(options.data)
            plain = dict(vars(report))
            violations = plain.pop("violations")
            plain.pop("engine"), plain.pop("seed")
            ledger.add("small" if options.small else "run", engine, one, **plain, violations=len(violations))
            bad += len(violations)
            say(
                f"{engine}, round {one}: {report.requests} requests, {report.decisions} decisions, "
                f"{report.forms} forms ({report.unknown} unknown), {report.mails} mails ({report.doubles} twice), "
                f"{sum(report.points.values())} kills at points, {sum(report.kills.values())} random kills, "
                f"faults {dict(report.faults)}, caught up in {report.catch_up:.1f} s, "
                f"{len(violations)} violations, {report.seconds:.0f} s."
            )
            for sentence in violations[:30]:
                say(f"  ! {sentence}")
            if options.small or _reached(ledger, engine) or time.monotonic() > until:
                break
        if not options.small:
            _tell(ledger, engine)
    return 1 if bad else 0


def _reached(ledger: Ledger, engine: str) -> bool:
    sums = ledger.sums("run", engine)
    return (
        sums["requests"] >= FULL["requests"]
        and all(sums[f"points {point}"] >= FULL["points"] for point in WHERE)
        and sum(number for name, number in sums.items() if name.startswith("kills ")) >= FULL["kills"]
    )


def _tell(ledger: Ledger, engine: str) -> None:
    """All runs together."""
    sums, kept = ledger.sums("run", engine), ledger.of("run", engine)
    kills = sum(number for name, number in sums.items() if name.startswith("kills "))
    say(f"\n{engine}, {len(kept)} rounds in {sums['seconds'] / 60:.0f} minutes, of all runs in {ledger.file}:")
    say(f"  {sums['requests']} of {FULL['requests']} requests, {sums['decisions']} decisions, {sums['forms']} forms")
    say(f"  {kills} of {FULL['kills']} random kills")
    for point in WHERE:
        say(f"  {sums[f'points {point}']:3} of {FULL['points']} kills at {point}")
    say(f"  {sums['mails']} mails, {sums['doubles']} twice")
    say(f"  caught up after Redis came back in {ledger.most('run', engine, 'catch_up'):.1f} s at most")
    say(f"  {sums['violations']} violations\n")


if __name__ == "__main__":
    sys.exit(main())
