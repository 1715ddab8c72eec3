"""Run all robustness tests and print a table: test, n, passed."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .alike import difference
from .answers import damage_answers
from .endpoint_modes import MODES, check_modes
from .files import cut, flip_bits, swap
from .hostile import refuse_hostile
from .inputs import mutate
from .judge import JudgingEndpoint
from .kills import finish, kill_often
from .lanes import kill_in_lanes
from .nodes import nodes_of, rounds, table_of
from .processes import forbidden_words
from .records import damage_records
from .small import make_small_study, undefined_numbers
from .study import RESULTS, TortureStudy, found_study, make_study, port_of

PARTS = ("inputs", "hostile", "endpoints", "answers", "small", "files", "remade", "nodes", "study")
_RECORDS = 8
# Requests that may be on the way when a process is killed: they are asked again.
_IN_FLIGHT = 8

Row = tuple[str, int, list[str]]


def main() -> int:
    """Run the torture and return the exit status."""
    options = _options()
    start, rows = time.monotonic(), list[Row]()
    with _folder(options.folder) as root:
        for part in options.only or PARTS:
            rows += _part(part, root, options)
            print(f"{part}: done after {_times(start)}", flush=True)
    print(f"\nseed {options.seed}, {_times(start)}")
    print(f"{'test':<66}{'n':>6}{'passed':>8}")
    for name, n, failures in rows:
        print(f"{name:<66}{n:>6}{max(0, n - len(failures)):>8}")
    failed = [line for _, _, failures in rows for line in failures]
    print("\n".join(failed))
    return bool(failed)


def _times(start: float) -> str:
    """Return the time since ``start``, and that of the processors without model servers."""
    return f"{time.monotonic() - start:.0f} s, {sum(os.times()[:4]):.0f} s of processor time"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make torture", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of every random choice")
    parser.add_argument("--kills", type=int, default=40, help="of single nodes")
    parser.add_argument("--study-kills", type=int, default=5, help="while a whole study runs")
    parser.add_argument("--flips", type=int, default=400)
    parser.add_argument("--inputs", type=int, default=800)
    parser.add_argument("--only", choices=PARTS, nargs="+", help="run these parts")
    parser.add_argument(
        "--share",
        default="1/1",
        metavar="I/K",
        help="of the kills of nodes, the I-th of K",
    )
    parser.add_argument(
        "--folder", type=Path, help="keep the finished study there, and use it again"
    )
    return parser.parse_args()


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        yield Path(folder).resolve()


def _part(part: str, root: Path, options: argparse.Namespace) -> list[Row]:
    seed = options.seed
    if part in ("inputs", "hostile", "endpoints", "answers"):
        with tempfile.TemporaryDirectory(prefix=part) as folder:
            return _without_study(part, Path(folder).resolve(), options)
    if part == "small":
        return small(root / "small")
    with _finished(root / "whole") as (study, endpoint):
        match part:
            case "files":
                return damage(study, options.flips, seed)
            case "remade":
                return remade(study, seed)
            case "nodes":
                return nodes_killed(study, endpoint, options.kills, seed, options.share)
            case _:
                return study_killed(root / "killed", study, options.study_kills, seed)


def _without_study(part: str, folder: Path, options: argparse.Namespace) -> list[Row]:
    if part == "inputs":
        wrong = mutate(folder, options.inputs, options.seed)
        return [("a mutated input is read or refused by a line", options.inputs, wrong)]
    if part == "hostile":
        return [("a hostile file is refused by a line", *refuse_hostile(folder))]
    if part == "answers":
        wrong = damage_answers(folder, options.flips, options.seed)
        return [("a damaged answer is never read", options.flips, wrong)]
    return [("an endpoint's way to answer is understood", len(MODES), check_modes(folder))]


@contextmanager
def _finished(root: Path) -> Iterator[tuple[TortureStudy, JudgingEndpoint]]:
    """Yield a finished study and its judge: made now, or found where it was made before."""
    with JudgingEndpoint(port_of(root) if root.exists() else 0) as endpoint:
        study = found_study(root) if root.exists() else make_study(root, endpoint.url)
        done = study.run()
        if done.returncode:
            raise SystemExit(f"the study fails: {done.stdout[-3000:]}{done.stderr[-3000:]}")
        yield study, endpoint


def small(root: Path) -> list[Row]:
    """Run the smallest study to its end and read its report."""
    with JudgingEndpoint() as endpoint:
        shutil.rmtree(root, ignore_errors=True)
        study = make_small_study(root, endpoint.url)
        done = study.run()
    said = done.stdout + done.stderr
    wrong = [f"the smallest study: {line}" for line in forbidden_words(said, "all")]
    if done.returncode:
        wrong.append(f"the smallest study fails: {said[-500:]}")
    else:
        wrong += undefined_numbers(study.results / "report.html")
    return [("a study of two roles and one question reports no undefined number", 1, wrong)]


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


def remade(study: TortureStudy, seed: int) -> list[Row]:
    """Truncate one table of every folder in a finished study: a plain run makes them again."""
    before, failures = study.contents(), []
    paths = {path.parent: path for path in sorted(study.results.rglob("*.parquet"))}
    for path in paths.values():
        path.write_bytes(path.read_bytes()[:-20])
    done = study.run()
    if done.returncode:
        failures.append(f"the run failed: {done.stderr[-500:]}")
    after = study.contents()
    failures += [f"{name} differs" for name in before if after.get(name) != before[name]]
    records = damage_records(study, _RECORDS, seed, is_finished=True)
    return [
        ("tables cut short are made again, identical", len(paths), failures),
        ("damaged records are named, their tables made again", _RECORDS, records),
    ]


def nodes_killed(
    study: TortureStudy, endpoint: JudgingEndpoint, n: int, seed: int, share: str
) -> list[Row]:
    """Kill nodes of every kind at drawn moments, and make each again."""
    part, parts = map(int, share.split("/"))
    nodes = nodes_of(study.project.root, RESULTS.as_posix())
    drawn = [(number, *found) for number, found in enumerate(rounds(nodes, n, seed))]
    found = kill_in_lanes(study, endpoint, drawn[part - 1 :: parts], seed)
    kills = [kill for _, kill in found if kill]
    late = [name for name, kill in found if kill is None]
    print("\n".join(table_of(kills)))
    print(f"killed: {dict(Counter(kill.victim for kill in kills))}; too late: {late}")
    print(f"servers replaced: {sum(kill.replaced for kill in kills)}")
    print(f"answers asked for again: {sum(kill.asked_again for kill in kills)}")
    return [
        (name, len(kills), [line for kill in kills for line in getattr(kill, what)[:1]])
        for name, what in (
            ("a node goes on after a kill without a manual step", "failures"),
            ("its tables are those of a quiet run", "differing"),
            ("rows and answers that were there are used", "lost"),
        )
    ]


def study_killed(root: Path, whole: TortureStudy, n: int, seed: int) -> list[Row]:
    """Kill processes of a whole study over and over; it must come out as if nothing had been."""
    with JudgingEndpoint() as endpoint:
        study = make_study(root, endpoint.url)
        kills = kill_often(study, n, seed)
        finish(study, kills)
        # Answers without a verdict are asked for by every run.
        asked_again = sum(n - 1 for asked, n in endpoint.given.items() if asked in endpoint.judged)
    wanted, found = whole.contents(), study.contents()
    differing = [
        f"{name} differs"
        for name in wanted
        if found.get(name) != wanted[name]
        and (name not in found or difference(study.results / name, whole.results / name))
    ]
    paid = [] if asked_again <= _IN_FLIGHT * n else [f"{asked_again} answers were asked for twice"]
    print(f"killed: {dict(kills.victims)} in {dict(kills.hit)}")
    print(f"{kills.rows_kept} rows kept inside nodes, {asked_again} answers asked for again")
    return [
        ("a study goes on after a kill without a manual step", n, kills.failures),
        ("tables after all kills are those of a quiet run", len(wanted), differing),
        ("answers are asked for twice only if on the way", 1, paid),
    ]


if __name__ == "__main__":
    sys.exit(main())
