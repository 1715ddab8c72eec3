"""The time that a run still needs, from measured durations only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from personae.workflow.progress.machine_rates import Measured

_UNKNOWN: Final = 0.05
"""Largest share of the jobs left whose rules were never measured, for a figure to be given."""

_SETTLED: Final = 30.0
"""Seconds of a run after which its own speed corrects that of earlier runs."""


class TimeLeft:
    """Counts a run's jobs down.

    Parameters
    ----------
    jobs
        Jobs of the run by rule.
    known
        What earlier runs measured on this machine.
    expected
        Seconds that the estimate expects of a rule's node in this study: earlier runs may have
        been of other sizes.
    """

    def __init__(
        self,
        jobs: Mapping[str, int],
        known: Mapping[str, Measured],
        expected: Callable[[str], float],
    ) -> None:
        self._left, self._known, self._expected = Counter(jobs), known, expected
        self._counts: Counter[str] = Counter()
        self._seconds: dict[str, float] = {}

    def finish(self, rule: str, share: float) -> None:
        """A job has ended, after its share of wall-clock time in seconds."""
        self._left[rule] -= 1
        self._counts[rule] += 1
        self._seconds[rule] = self._seconds.get(rule, 0.0) + share

    def measured(self) -> dict[str, Measured]:
        """Return what this run measured, for `machine_rates.keep`."""
        return {
            rule: Measured(seconds, self._counts[rule] * self._expected(rule))
            for rule, seconds in self._seconds.items()
        }

    def seconds(self) -> float | None:
        """Return the seconds left; None while too many jobs are of rules never measured."""
        known = unknown = 0
        total = 0.0
        for rule, count in (+self._left).items():
            each = self._each(rule)
            if each is None:
                unknown += count
            else:
                known += count
                total += count * each
        if unknown > _UNKNOWN * (known + unknown):
            return None
        # A job of a rule never measured counts as the mean of the others.
        return total * (1 + unknown / known) if known else 0.0

    def _each(self, rule: str) -> float | None:
        """Return the seconds of one more job of a rule."""
        earlier = self._earlier(rule)
        if self._counts[rule]:
            here = self._seconds[rule] / self._counts[rule]
            # One job of many may be an odd one: the more there are, the more they count.
            weight = self._counts[rule] / (self._counts[rule] + 1)
            return here if earlier is None else weight * here + (1 - weight) * earlier
        return None if earlier is None else earlier * self._pace()

    def _earlier(self, rule: str) -> float | None:
        known = self._known.get(rule)
        if known is None or known.expected <= 0:
            return None
        return known.seconds / known.expected * self._expected(rule)

    def _pace(self) -> float:
        """Return this run's time per time of earlier runs, over the jobs that both know."""
        here = earlier = 0.0
        for rule, seconds in self._seconds.items():
            each = self._earlier(rule)
            if each is not None:
                here += seconds
                earlier += self._counts[rule] * each
        return here / earlier if earlier > 0 and here > _SETTLED else 1.0
