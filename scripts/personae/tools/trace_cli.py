"""``personae trace``: what a table, a figure or a number of the report was made of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from personae.base.errors import PersonaeError
from personae.base.validation_messages import did_you_mean

if TYPE_CHECKING:
    from personae.workflow.provenance_chain import TracedFile

_SHORT: Final = 12
_LONGEST: Final = 120
_WEIGHTS: Final = ("model", "revision", "weights_digest", "dtype", "device", "engine")


def trace(
    file: Annotated[
        Path, typer.Argument(help="Table, figure or page of a study; a scorecard for --claim.")
    ],
    claim: Annotated[
        str | None, typer.Option(help="A claim of the report, by its id, such as axis-split-half.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Name every file and print values in full.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Follow a result back to code, configuration values, weights and inputs, to the first node.

    The exit status is 1 if the chain is broken: a table behind the result is gone, or is no longer
    the one that was read.

    Example: personae trace results/demo/smollm2_135m/axis/directions.parquet

    Example: personae trace results/demo/scorecard.parquet --claim axis-split-half
    """
    # Imported here: reading tables takes longer than other commands need in all.
    from personae.workflow import provenance_chain

    only: list[str] | None = None
    lines: list[str] = []
    if claim is not None:
        lines = list(_claim(file, claim))
        only = provenance_chain.claim_tables(file, claim)
    chain = provenance_chain.trace(file, only)
    if as_json:
        print(json.dumps([_record(one) for one in chain], indent=1))
    else:
        print("\n".join([*lines, *_shown(chain, every=every)]))
    if any(one.problem for one in chain):
        raise typer.Exit(1)


def _claim(scorecard: Path, claim: str) -> Iterator[str]:
    """Yield a claim's row in words, one line a model."""
    from personae.data import tables

    rows = tables.read(scorecard, "scorecard").to_pylist()
    found = [row for row in rows if row["claim"] == claim]
    if not found:
        known = {row["claim"] for row in rows}
        raise PersonaeError(f"{scorecard}: no claim {claim!r}{did_you_mean(claim, known)}")
    yield f"{claim}: {found[0]['text']}"
    for row in found:
        value = "no value" if row["value"] is None else f"{row['value']:.4g}"
        bounds = "" if row["low"] is None else f" [{row['low']:.4g}, {row['high']:.4g}]"
        judge = f", judge {row['judge']}" if row["judge"] else ""
        yield (
            f"  {row['model']}: {value}{bounds}, n {row['n']}{judge}: {row['verdict']}"
            + (f" ({row['reason']})" if row["reason"] else "")
        )
    yield f"  estimand: {found[0]['estimand']}"
    yield ""


def _shown(chain: Sequence[TracedFile], *, every: bool) -> Iterator[str]:
    """Yield the chain as text: what all nodes share first, then one block a rule."""
    shared = _shared(chain)
    yield from (f"{name:9} {text}" for name, text in shared.items())
    by_rule: dict[str, list[TracedFile]] = {}
    for one in chain:
        by_rule.setdefault(one.rule, []).append(one)
    for rule, files in by_rule.items():
        yield ""
        yield from _block(rule or "no record", files, shared, every=every)
    broken = [one for one in chain if one.problem]
    yield ""
    yield from (f"! {one.path} {one.problem}; run the workflow again" for one in broken)
    yield f"{len(chain)} files of {len(by_rule)} rules" + (
        "" if broken else ", all as they were read"
    )


def _block(
    rule: str, files: Sequence[TracedFile], shared: dict[str, str], *, every: bool
) -> Iterator[str]:
    """Yield one rule's lines: its files, code, values, and which rules' tables it read."""
    times = sorted(one.facts["time"] for one in files if "time" in one.facts)
    when = (
        "" if not times else f", {times[0]}" + (f" to {times[-1]}" if times[-1] > times[0] else "")
    )
    yield f"{rule} ({len(files)} file{'s' * (len(files) > 1)}{when})"
    named = files if every or len(files) == 1 else files[:1]
    for one in named:
        yield f"  file     {one.path}" + (f"  {one.checksum}" if one.checksum else "")
    if len(named) < len(files):
        yield f"           and {len(files) - 1} more; --all names them"
    if codes := _distinct(files, "code_digest"):
        yield f"  code     {_code(rule, codes)}"
    for name in ("study", "config", "weights"):
        found = _distinct_words(files, name)
        if found and found != shared.get(name):
            yield f"  {name:8} {found}"
    yield from _values(files, every=every)


def _values(files: Sequence[TracedFile], *, every: bool) -> Iterator[str]:
    """Yield the values that a rule's nodes depended on, of the first one if they differ."""
    with_values = [one for one in files if one.params]
    if not with_values:
        return
    for name, value in with_values[0].params.items():
        text = json.dumps(value, ensure_ascii=False)
        differs = any(one.params.get(name) != value for one in with_values)
        if not every and len(text) > _LONGEST:
            text = f"{text[:_LONGEST]}... ({len(text)} characters; --all prints them)"
        yield f"  value    {name}: {text}" + ("  (differs between files)" if differs else "")


def _code(rule: str, digests: Sequence[str]) -> str:
    """Return the code's digests, and whether this checkout's code for the rule has that digest."""
    from personae.workflow.code_digest import digests_here
    from personae.workflow.stages.registry import STAGES

    said = ", ".join(one[:_SHORT] for one in digests)
    if rule not in STAGES:
        return said
    script = STAGES[rule].script
    same = "the same as" if set(digests) <= digests_here(script) else "not that of"
    return f"{said} (scripts/{script}.py and what it imports; {same} this checkout)"


def _shared(chain: Sequence[TracedFile]) -> dict[str, str]:
    """Return what all files of the chain have in common."""
    found = {}
    for name in ("study", "config", "weights", "versions"):
        said = {_words(one, name) for one in chain if one.facts.get("time")} - {""}
        if len(said) == 1:
            found[name] = said.pop()
    return found


def _distinct_words(files: Iterable[TracedFile], name: str) -> str:
    return "; ".join(dict.fromkeys(filter(None, (_words(one, name) for one in files))))


def _words(one: TracedFile, name: str) -> str:
    """Return one kind of fact in words; empty where the file has none."""
    facts = one.facts
    if name == "study":
        return f"{facts['study']}, seed {facts['seed']}" if "study" in facts else ""
    if name == "config":
        return facts.get("config_digest", "")[:_SHORT]
    if name == "versions":
        found = json.loads(facts.get("versions", "{}"))
        return ", ".join(f"{package} {version}" for package, version in found.items())
    if not facts.get("weights_digest"):
        return ""
    model, revision, digest, dtype, device, engine = (facts.get(key, "") for key in _WEIGHTS)
    return f"{model} {revision} ({digest[:_SHORT]}), {dtype} on {device}, {engine}"


def _distinct(files: Iterable[TracedFile], name: str) -> list[str]:
    return list(dict.fromkeys(one.facts[name] for one in files if one.facts.get(name)))


def _record(one: TracedFile) -> dict[str, Any]:
    parsed = {"inputs": one.inputs, "params": one.params}
    for name in ("wildcards", "outputs", "versions"):
        if name in one.facts:
            parsed[name] = json.loads(one.facts[name])
    kept = {key: value for key, value in one.facts.items() if key != "claim_tables"}
    about = {"path": one.path, "checksum": one.checksum, "problem": one.problem}
    return {**about, **kept, **parsed}
