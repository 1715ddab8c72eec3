"""Find the prefixes of prompts that are worth computing once for several of them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import pairwise
from typing import NamedTuple


class _Split(NamedTuple):
    """A division of sorted prompts: tokens saved, and ``(first, last, shared)`` of each part."""

    saved: int
    parts: list[tuple[int, int, int]]


def shared_prefixes(prompts: Sequence[Sequence[int]], kinds: Sequence[Hashable]) -> list[int]:
    """Return the number of leading tokens of every prompt to compute once with other prompts.

    Prompts of one kind with the same number and the same leading tokens form a group; the division
    into groups saves the most tokens. The last token of a prompt is never shared.
    """
    lengths = [0] * len(prompts)
    for kind in dict.fromkeys(kinds):
        order = sorted(
            (i for i, k in enumerate(kinds) if k == kind), key=lambda i: tuple(prompts[i])
        )
        ordered = [prompts[i] for i in order]
        common = [0, *(_common(a, b) for a, b in pairwise(ordered))]
        for first, last, shared in _divide(common, 0, len(order)).parts:
            for place in range(first, last):
                lengths[order[place]] = shared
    return lengths


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    """Return the number of leading tokens that two prompts share, without the last of either."""
    most = min(len(a), len(b)) - 1
    return next((i for i in range(most) if a[i] != b[i]), most)


def _divide(common: Sequence[int], first: int, last: int) -> _Split:
    """Divide ``[first, last)`` of the sorted prompts, where ``common[i]`` is shared with i - 1."""
    if last - first == 1:
        return _Split(0, [(first, last, 0)])
    least = min(common[first + 1 : last])
    together = _Split((last - first - 1) * least, [(first, last, least)])
    cuts = [i for i in range(first + 1, last) if common[i] == least]
    pieces = [_divide(common, a, b) for a, b in zip([first, *cuts], [*cuts, last], strict=True)]
    apart = sum(piece.saved for piece in pieces)
    if apart > together.saved:
        return _Split(apart, [part for piece in pieces for part in piece.parts])
    return together
