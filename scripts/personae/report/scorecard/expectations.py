"""What a claim expects of its estimand, and the numbers that decide it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from personae.science.resampling import Interval


@dataclass(frozen=True)
class Above:
    """The estimand is large.

    Attributes
    ----------
    bound
        The interval must lie above it, and above the null's value where a finding has one.
    smallest
        Smallest size of interest: the estimate must reach it, and an interval that ends below it
        says that the effect is not there.
    """

    bound: float
    smallest: float

    @property
    def direction(self) -> str:
        """Name of the direction."""
        return "above"

    def turned(self, value: float) -> float:
        """Turn a value so that larger supports the claim."""
        return value


@dataclass(frozen=True)
class Below(Above):
    """The estimand is small or negative: as `Above`, with every inequality reversed."""

    @property
    def direction(self) -> str:
        """Name of the direction."""
        return "below"

    def turned(self, value: float) -> float:
        """Turn a value so that larger supports the claim."""
        return -value


@dataclass(frozen=True)
class Within:
    """The estimand lies in a range, which the whole interval must show (equivalence)."""

    low: float
    high: float

    @property
    def direction(self) -> str:
        """Name of the direction."""
        return "within"


Expectation = Above | Within
"""`Below` is an `Above` with every inequality reversed."""


def holds(expected: Expectation, value: float) -> bool:
    """Whether a value alone, without its uncertainty, is as expected; what a check asks."""
    if isinstance(expected, Within):
        return expected.low <= value <= expected.high
    return expected.turned(value) >= expected.turned(expected.smallest)


def confirmed(expected: Expectation, found: Interval, null: float | None) -> bool:
    """Whether estimate and interval are as expected, beyond the null's value if there is one."""
    if isinstance(expected, Within):
        return expected.low <= found.low and found.high <= expected.high
    near = min(expected.turned(found.low), expected.turned(found.high))
    least = expected.turned(expected.bound)
    if null is not None and not math.isnan(null):
        least = max(least, expected.turned(null))
    return near > least and holds(expected, found.estimate)


def excluded(expected: Expectation, found: Interval) -> bool:
    """Whether the interval rules out every size that is of interest."""
    if isinstance(expected, Within):
        return found.high < expected.low or found.low > expected.high
    far = max(expected.turned(found.low), expected.turned(found.high))
    return far < expected.turned(expected.smallest)


def wording(expected: Expectation) -> tuple[str, str]:
    """Say what the interval must show for "reproduced" and for "not reproduced"."""
    if isinstance(expected, Within):
        span = f"{expected.low:g} to {expected.high:g}"
        return f"the interval lies within {span}", f"the interval lies outside {span}"
    beyond, short = ("above", "below") if expected.direction == "above" else ("below", "above")
    reach = "at least" if beyond == "above" else "at most"
    met = (
        f"the estimate is {reach} {expected.smallest:g} and the interval lies {beyond} "
        f"{expected.bound:g} and the null"
    )
    return met, f"the interval lies {short} {expected.smallest:g}"
