"""Two ways to do the same work, run in turns; medians, their ratio, and how it spread."""

from __future__ import annotations

import functools
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch

_TIMEOUT = 300.0  # seconds

Run = Callable[[], float]
"""Does the work once and returns its figure of merit, such as tokens per second."""


@dataclass(frozen=True)
class BenchComparison:
    """One line of the benchmark.

    ``target`` bounds the ratio ours / other from the side that ``bound`` says; with ``bound``
    "ours at most" it bounds ours itself. None: reported without a target.
    """

    metric: str
    ours: Run
    other: Run
    target: float | None
    bound: Literal["ratio at least", "ratio at most", "ours at most"] = "ratio at least"

    def met(self, ours: float, ratio: float) -> bool | None:
        """Tell whether the target is reached; None where there is none."""
        if self.target is None:
            return None
        if self.bound == "ratio at least":
            return ratio >= self.target
        return (ratio if self.bound == "ratio at most" else ours) <= self.target


def rate(device: torch.device, work: Callable[[], int]) -> Run:
    """Return a run of ``work``, which counts what it did, as a figure per second."""
    # Not above: judging is measured in a process without torch.
    import torch

    def run() -> float:
        start = time.perf_counter()
        count = work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return count / (time.perf_counter() - start)

    return run


def together(work: Callable[[], Sequence[float]], count: int) -> list[Run]:
    """Return runs for ``count`` figures that one piece of work gives together.

    Whichever run is asked first does the work; the others then give their figure of it.
    """
    left: list[deque[float]] = [deque() for _ in range(count)]

    def run(own: deque[float]) -> float:
        if not own:
            for figures, figure in zip(left, work(), strict=True):
                figures.append(figure)
        return own.popleft()

    return [functools.partial(run, own) for own in left]


def printed(module: str, *arguments: str) -> str:
    """Run a module in a new process and return what it prints."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=_TIMEOUT
    ).stdout


def compare(comparison: BenchComparison, repeats: int, device: str) -> dict[str, Any]:
    """Run both sides in turns; return the table's row.

    ``ratio`` is the median of the turns' ratios, ``spread`` their range over it: what disturbs the
    machine for longer than a turn touches both sides.
    """
    turns = []
    for turn in range(repeats):
        # Who begins changes, so that neither side always runs on the other's caches.
        if turn % 2:
            other, ours = comparison.other(), comparison.ours()
        else:
            ours, other = comparison.ours(), comparison.other()
        turns.append((ours, other))
    ratios = [ours / other for ours, other in turns]
    ratio = statistics.median(ratios)
    ours = statistics.median(turn[0] for turn in turns)
    return {
        "metric": comparison.metric,
        "ours": ours,
        "other": statistics.median(turn[1] for turn in turns),
        "ratio": ratio,
        "target": comparison.target,
        "met": comparison.met(ours, ratio),
        "n": repeats,
        "spread": (max(ratios) - min(ratios)) / ratio,
        "device": device,
    }
