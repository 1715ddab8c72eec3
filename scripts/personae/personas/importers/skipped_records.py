"""Records that a source's policy leaves out: counted by kind, and one of each shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple


class Skipped(NamedTuple):
    """A record that was left out: its kind, and place and reason."""

    kind: str
    why: str


def skipped_line(path: str, skipped: Sequence[Skipped], kept: int) -> str:
    """Return one line that says how many records of a file were left out, and why."""
    counts = Counter(one.kind for one in skipped)
    kinds = ", ".join(f"{number} {kind}" for kind, number in counts.most_common())
    total = kept + len(skipped)
    return f"{path}: {len(skipped)} of {total} records skipped ({kinds}); first: {skipped[0].why}"
