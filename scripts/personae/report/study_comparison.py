"""Whether two results folders of one study agree: tables, vectors and claims.

A rerun on the same machine gives the same bytes: two runs of the demo had the same content in every
table (vectors: cosine 1). Another dtype or device samples other responses; then two runs are as two
samples, and agree where vectors are as close as those of two halves of the questions are, and where
intervals of claims overlap.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from personae.base.errors import PersonaeError
from personae.report.scorecard.decision import INCONCLUSIVE, NOT_TESTABLE

Mode = Literal["same", "other"]

_LEAST_COSINE: Final = 0.5
"""Of vectors whose table has no split-half reliability."""
_KEYS: Final = {
    "vectors.parquet": ["trait", "variant", "layer"],
    "directions.parquet": ["direction", "layer"],
    "role_vectors.parquet": ["role", "kind", "layer"],
}


class Difference(NamedTuple):
    """One finding: its part (tables, vectors, claims), place, whether it is allowed, and words."""

    part: str
    place: str
    agrees: bool
    words: str


def compare(left: Path, right: Path, mode: Mode) -> list[Difference]:
    """Compare two results folders of one study.

    Parameters
    ----------
    left, right
        Folders such as ``results/demo``.
    mode
        ``same``: same machine, dtype and code, every table has the same content. ``other``: another
        dtype, device or library; vectors and claims must agree within sampling error.

    Raises
    ------
    PersonaeError
        When a folder holds no tables, or the folders have no table in common.
    """
    names = [_tables(folder) for folder in (left, right)]
    common = sorted(names[0] & names[1])
    if not common:
        raise PersonaeError(
            f"{left} and {right} have no table in common; name results of one study"
        )
    found = [
        Difference("tables", name, False, f"only in {left if name in names[0] else right}")
        for name in sorted(names[0] ^ names[1])
    ]
    changed = [name for name in common if _content(left / name) != _content(right / name)]
    found += [Difference("tables", name, mode == "other", "other content") for name in changed]
    for name in changed:
        if Path(name).name in _KEYS:
            found += _vectors(left / name, right / name, name, mode)
    if "scorecard.parquet" in common:
        found += _claims(left / "scorecard.parquet", right / "scorecard.parquet", mode)
    return found


def verdict(found: list[Difference]) -> tuple[str, bool]:
    """Return one sentence, and whether the folders agree."""
    against = [d for d in found if not d.agrees]
    if not found:
        return "identical: every table has the same content", True
    if not against:
        return f"agree: {len(found)} differences, all within what another run may show", True
    parts = ", ".join(
        f"{n} in {part}" for part in ("tables", "vectors", "claims")
        if (n := sum(d.part == part for d in against))
    )  # fmt: skip
    return f"differ: {len(against)} differences that a rerun must not show ({parts})", False


def _tables(folder: Path) -> set[str]:
    found = {
        str(path.relative_to(folder))
        for path in folder.rglob("*.parquet")
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }
    if not found:
        raise PersonaeError(f"{folder}: no tables; name a results folder such as results/demo")
    return found


def _content(path: Path) -> str:
    """Digest of a table's columns and values; provenance (time, versions) does not count."""
    table = pq.ParquetFile(path).read()
    digest = hashlib.sha256()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema.remove_metadata()) as stream:
        stream.write_table(table.replace_schema_metadata(None).combine_chunks())
    digest.update(sink.getvalue())
    return digest.hexdigest()


def _vectors(left: Path, right: Path, name: str, mode: Mode) -> Iterator[Difference]:
    """Lowest cosine of the vectors that both tables have."""
    keys = _KEYS[Path(name).name]
    frames = [pq.ParquetFile(path).read().to_pandas() for path in (left, right)]
    both = frames[0].merge(frames[1], on=keys, suffixes=("", "_other"))
    if both.empty:
        yield Difference("vectors", name, False, "no vector in common")
        return
    a, b = (
        np.stack([np.frombuffer(v, "<f4") for v in both[column]]).astype(np.float64)
        for column in ("vector", "vector_other")
    )
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosines = (a * b).sum(axis=1) / np.where(lengths > 0, lengths, np.nan)
    least = np.full(len(both), 1.0 - 1e-6)
    if mode == "other":
        halves = both["split_half"] if "split_half" in both else pd.Series(np.nan, both.index)
        least = halves.fillna(_LEAST_COSINE).to_numpy(dtype=np.float64)
    short = cosines < least
    worst = int(np.nanargmin(cosines - least))
    place = "/".join(str(both[key].iloc[worst]) for key in keys)
    words = (
        f"cosine {cosines[worst]:.3f} at {place}, {least[worst]:.3f} expected; "
        f"{int(short.sum())} of {len(both)} below"
    )
    yield Difference("vectors", name, not short.any(), words)


def _claims(left: Path, right: Path, mode: Mode) -> Iterator[Difference]:
    """Claims whose verdicts contradict each other, or whose intervals do not overlap."""
    frames = [pq.ParquetFile(path).read().to_pandas() for path in (left, right)]
    both = frames[0].merge(frames[1], on=["claim", "model"], suffixes=("", "_other"))
    for row in both.itertuples():
        verdicts = {row.verdict, row.verdict_other}
        if len(verdicts) == 1 and _equal(row.value, row.value_other):
            continue
        open_ = verdicts & {INCONCLUSIVE, NOT_TESTABLE}
        overlaps = not (row.low > row.high_other or row.low_other > row.high)
        agrees = mode == "other" and (len(verdicts) == 1 or bool(open_)) and overlaps
        words = (
            f"{row.verdict} ({_interval(row.value, row.low, row.high)}) and {row.verdict_other} "
            f"({_interval(row.value_other, row.low_other, row.high_other)})"
        )
        yield Difference("claims", f"{row.claim} in {row.model}", agrees, words)


def _equal(a: float, b: float) -> bool:
    return bool(a == b or (pd.isna(a) and pd.isna(b)))


def _interval(value: float, low: float, high: float) -> str:
    if pd.isna(value):
        return "no value"
    return f"{value:.3g}" if pd.isna(low) else f"{value:.3g} [{low:.3g}, {high:.3g}]"
