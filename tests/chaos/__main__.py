"""`bin/chaos`: the promises of Countersign, tried on the real stack. Each command says what it proves."""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from pathlib import Path
from typing import Any

from tests.chaos import load, restore, upgrades
from tests.chaos.ledger import Ledger
from tests.chaos.plan import WHERE, Plan
from tests.chaos.programs import ProgramRaces
from tests.chaos.races import Races
from tests.chaos.round import Round, rounds
from tests.chaos.stack import ENGINES
from tests.chaos.stopping import stop_on_sigterm

FULL = {"requests": 2_000, "points": 25, "kills": 300}
SMALL = Plan(requests=50, kills_at_points=1, random_kills=3, redis_down=(0.5,), database_crashes=1, smtp_faults=2,
             receiver_faults=2, askers=10, apps=14, quiet=0.1, sweep=0.5, passings=1, longest=240)  # fmt: skip


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

    race = commands.add_parser("races", help="many decide at once, and every pair of events meets")
    race.add_argument("--deciders", default="8x2000,32x500", help="how many at once x trials (8x2000,32x500)")
    race.add_argument("--pairs", type=int, default=500, help="trials of each pair (500)")
    race.set_defaults(work=_races)

    program = commands.add_parser("programs", help="browsers and programs on one step; equal keys at once")
    program.add_argument("--doors", default="8x500", help="browsers, and as many programs x trials (8x500)")
    program.add_argument("--replays", type=int, default=1000, help="keys that are each sent four times (1000)")
    program.set_defaults(work=_programs)

    queue = commands.add_parser("drain", help="many due mails, one in a hundred undeliverable, several workers")
    queue.add_argument("--mails", type=int, default=50_000)
    queue.set_defaults(work=_drain)

    writing = commands.add_parser("writers", help="SQLite with sixteen writers at once")
    writing.add_argument("--minutes", type=float, default=10)
    writing.set_defaults(work=_writers)

    back = commands.add_parser("restore", help="backup and restore in mid-flow, and upgrades that are killed")
    back.add_argument("--small", action="store_true", help="a short restore and no upgrades, for bin/test")
    back.set_defaults(work=_restore)

    long = commands.add_parser("soak", help="ten requests a second for hours")
    long.add_argument("--minutes", type=float, default=60, help="on each database, with what is in the ledger (60)")
    long.set_defaults(work=_soak)

    for one in (race, program, queue, writing, back, long):
        one.add_argument("--seed", type=int)
        if one is not writing:
            one.add_argument("--database", choices=ENGINES, help="only this one")

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
    """Rounds until the goal is reached or the time is over; what earlier runs did counts. 2: not reached yet."""
    ledger, bad, missing = Ledger(options.data), 0, False
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
                f"{report.calls} webhooks ({report.calls_twice} twice, {report.call_median} s at the median), "
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
            missing |= not _reached(ledger, engine)
    if missing and not bad:
        say("The goal is not reached yet: the same command goes on from here.")
    return 1 if bad else 2 if missing else 0


def _write(ledger: Ledger, what: str, engine: str, seed: int, found: dict[str, Any]) -> int:
    """One line of the ledger, and what was found in words; how many violations."""
    violations = found.pop("violations")
    ledger.add(what, engine, seed, **found, violations=len(violations))
    say(f"{what}, {engine}: {found}, {len(violations)} violations.")
    for sentence in violations[:30]:
        say(f"  ! {sentence}")
    return len(violations)


def _races(options: argparse.Namespace) -> int:
    ledger, seed, bad = Ledger(options.data), _seed(options), 0
    deciders = [(int(many), int(trials)) for many, _, trials in (
        one.partition("x") for one in options.deciders.split(",") if one)]  # fmt: skip
    for engine in _engines(options):
        began, races = time.monotonic(), Races(engine, seed, say)
        races.run(deciders=deciders, pairs=options.pairs)
        found = {"trials": dict(races.done), "seconds": round(time.monotonic() - began), "violations": races.bad}
        bad += _write(ledger, "races", engine, seed, found)
        say(f"  all runs in the ledger: {dict(ledger.sums('races', engine))}")
    return int(bad > 0)


def _programs(options: argparse.Namespace) -> int:
    ledger, seed, bad = Ledger(options.data), _seed(options), 0
    many, _, trials = options.doors.partition("x")
    for engine in _engines(options):
        began, races = time.monotonic(), ProgramRaces(engine, seed, say)
        races.run_programs(doors=(int(many), int(trials)), replays=options.replays)
        found = {"trials": dict(races.done), "seconds": round(time.monotonic() - began), "violations": races.bad}
        bad += _write(ledger, "programs", engine, seed, found)
    return int(bad > 0)


def _drain(options: argparse.Namespace) -> int:
    ledger, seed = Ledger(options.data), _seed(options)
    return int(
        sum(_write(ledger, "drain", engine, seed, load.drain(engine, options.mails)) for engine in _engines(options))
        > 0
    )


def _writers(options: argparse.Namespace) -> int:
    ledger, seed = Ledger(options.data), _seed(options)
    return int(_write(ledger, "writers", "sqlite", seed, load.writers(options.minutes * 60, seed=seed)) > 0)


def _restore(options: argparse.Namespace) -> int:
    ledger, seed, bad = Ledger(options.data), _seed(options), 0
    for engine in _engines(options):
        seconds = 2 if options.small else 10
        bad += _write(ledger, "restore", engine, seed, restore.restore(engine, seed=seed, seconds=seconds))
        if not options.small:
            bad += _write(ledger, "upgrade", engine, seed, upgrades.upgrade(engine, seed=seed))
    return int(bad > 0)


def _soak(options: argparse.Namespace) -> int:
    """In legs of ten minutes; those that are in the ledger count, an interrupted one does not."""
    ledger, seed, bad = Ledger(options.data), _seed(options), 0
    for engine in _engines(options):
        missing = options.minutes * 60 - ledger.sums("soak", engine)["seconds"]
        for leg in load.soak(engine, missing, seed=seed) if missing > 1 else ():
            bad += _write(ledger, "soak", engine, seed, leg)
        legs, sums = ledger.of("soak", engine), ledger.sums("soak", engine)
        worst = max((percent for leg in legs for percent in leg["growth_percent"].values()), default=0)
        say(f"{engine}, {sums['seconds'] / 60:.0f} of {options.minutes:.0f} minutes: {sums['requests']:,} requests, "
            f"p95 {ledger.most('soak', engine, 'p95_ms'):.0f} ms in the worst leg, memory {worst:+} % at most, "
            f"{sums['violations']} violations.")  # fmt: skip
        if options.minutes >= 30 and not any(leg.get("judged", True) for leg in legs):
            # Memory is judged from the half hour on of a stack that was not stopped.
            say("  ! Memory was not judged: nothing went on for half an hour without being stopped.")
            bad += 1
    return int(bad > 0)


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
    say(f"  {sums['calls']} webhooks, {sums['calls_twice']} twice")
    say(f"  caught up after Redis came back in {ledger.most('run', engine, 'catch_up'):.1f} s at most")
    say(f"  {sums['violations']} violations\n")


if __name__ == "__main__":
    sys.exit(main())
