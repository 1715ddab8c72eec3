"""Records that a source's policy skips: counts by kind, with one example."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple


class SkippedRecord(NamedTuple):
    """A skipped record: its kind, and its place with the reason."""

    kind: str
    why: str


def skipped_line(path: str, skipped: Sequence[SkippedRecord], kept: int) -> str:
    """Return one line with the number of skipped records of a file by kind."""
    counts = Counter(one.kind for one in skipped)
    kinds = ", ".join(f"{number} {kind}" for kind, number in counts.most_common())
    total = kept + len(skipped)
    return f"{path}: {len(skipped)} of {total} records skipped ({kinds}); first: {skipped[0].why}"
