"""Repeat everything that the project must survive, and print a table: test, n, passed."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from ..unit.endpoints.misbehaving import Endpoint
from ..workflow.test_endpoints import judge
from .files import cut, flip_bits, swap
from .inputs import mutate
from .kills import finish, kill_often
from .study import JUDGES, TortureStudy, make_study

# Requests that may be on the way when a process is killed: they are asked again.
_IN_FLIGHT = 8


def main() -> int:
    """Run the torture and return the exit status."""
    parser = argparse.ArgumentParser(prog="make torture", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of every random choice")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--flips", type=int, default=400)
    parser.add_argument("--inputs", type=int, default=800)
    options = parser.parse_args()
    start, rows = time.monotonic(), []
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        root = Path(folder).resolve()
        with Endpoint(judge) as endpoint:
            whole = make_study(root / "whole", endpoint.url)
            done = whole.run()
            if done.returncode:
                print(done.stdout[-3000:], done.stderr[-3000:], file=sys.stderr)
                return 1
            print(f"reference run: {time.monotonic() - start:.0f} s", flush=True)
        (root / "inputs").mkdir()
        wrong = mutate(root / "inputs", options.inputs, options.seed)
        rows.append(("a mutated input is read or refused by a line", options.inputs, wrong))
        rows += damage(whole, options.flips, options.seed)
        rows += remade(whole)
        rows += killed(root / "killed", whole, options.kills, options.seed)
    print(f"\nseed {options.seed}, {time.monotonic() - start:.0f} s")
    print(f"{'test':<58}{'n':>6}{'passed':>8}")
    for name, n, failures in rows:
        print(f"{name:<58}{n:>6}{max(0, n - len(failures)):>8}")
    failed = [line for _, _, failures in rows for line in failures]
    print("\n".join(failed))
    return bool(failed)


Row = tuple[str, int, list[str]]


def damage(study: TortureStudy, flips: int, seed: int) -> list[Row]:
    """Damage the tables of a finished study in every way, and undo it."""
    os.chdir(study.project.root)
    paths = sorted(study.results.rglob("*.parquet"))
    return [
        ("a flipped bit of a table is refused by name", flips, flip_bits(paths, flips, seed)),
        ("a table cut short is found before a run", flips, cut(paths, flips, seed)),
        (
            "a table in another's place is refused by name",
            flips,
            swap(study.project.root, paths, flips, seed),
        ),
    ]


def remade(study: TortureStudy) -> list[Row]:
    """Cut one table of every folder short in a finished study: a plain run makes them again."""
    before, failures = study.contents(), []
    paths = {path.parent: path for path in sorted(study.results.rglob("*.parquet"))}
    for path in paths.values():
        path.write_bytes(path.read_bytes()[:-20])
    done = study.run()
    if done.returncode:
        failures.append(f"the run failed: {done.stderr[-500:]}")
    after = study.contents()
    failures += [f"{name} differs" for name in before if after.get(name) != before[name]]
    return [("tables cut short are made again, identical", len(paths), failures)]


def killed(root: Path, whole: TortureStudy, n: int, seed: int) -> list[Row]:
    """Kill processes of a study over and over; it must come out as if nothing had happened."""
    with Endpoint(judge) as endpoint:
        study = make_study(root, endpoint.url)
        kills = kill_often(study, n, seed)
        finish(study, kills)
        # Each of the judges asks a prompt once.
        asked_again = sum(max(0, k - len(JUDGES)) for k in endpoint.answered.values())
    wanted, found = whole.contents(), study.contents()
    differing = [f"{name} differs" for name in wanted if found.get(name) != wanted[name]]
    paid = [] if asked_again <= _IN_FLIGHT * n else [f"{asked_again} answers were asked for twice"]
    kept = [] if kills.rows_kept else ["no row was kept inside a node"]
    print(f"killed: {dict(kills.victims)} in {dict(kills.hit)}")
    print(f"{kills.rows_kept} rows kept inside nodes, {asked_again} answers asked for again")
    return [
        ("a run goes on after a kill without a manual step", n, kills.failures),
        ("tables after all kills are those of a quiet run", len(wanted), differing),
        ("rows that came before a kill are used", 1, kept),
        ("answers are asked for twice only if on the way", 1, paid),
    ]


if __name__ == "__main__":
    sys.exit(main())
