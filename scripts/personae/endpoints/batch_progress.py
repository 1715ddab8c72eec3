"""How a batch of requests advances, said in the log now and then."""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import Final

LOG = logging.getLogger("personae")

EVERY: Final = 10.0
"""Seconds between two lines."""


class Tally:
    """Counts of one batch."""

    def __init__(self, endpoint: str, total: int, kept: int, *, priced: bool) -> None:
        self._endpoint, self._priced = endpoint, priced
        self.total, self.kept = total, kept
        self.answered = self.failed = self.retried = self.in_a_row = 0
        self.cost = 0.0
        self._causes: Counter[str] = Counter()
        self._start = self._said = time.monotonic()

    def answer(self, cost: float) -> None:
        """Count an answer."""
        self.answered, self.in_a_row, self.cost = self.answered + 1, 0, self.cost + cost

    def retry(self, cause: str) -> None:
        """Count a try that another one follows."""
        self.retried += 1
        self._causes[cause.partition(":")[0]] += 1

    def failure(self) -> None:
        """Count a request that was given up."""
        self.failed, self.in_a_row = self.failed + 1, self.in_a_row + 1

    def now_and_then(self, slots: int, pause: float) -> None:
        """Say how things stand, if that was long ago."""
        if time.monotonic() - self._said >= EVERY:
            self._said = time.monotonic()
            LOG.info("%s", self.line(slots, pause))

    def line(self, slots: int = 0, pause: float = 0.0) -> str:
        """Return one line about how things stand."""
        passed = time.monotonic() - self._start
        done = self.kept + self.answered
        parts = [
            f"{self._endpoint}: {done} of {self.total} answers",
            f"{self.kept} of them kept from before" if self.kept else "",
            f"{self.answered / passed:.1f}/s" if passed > 0 and self.answered else "",
            f"{self.failed} given up" if self.failed else "",
            f"{self.retried} retried ({_listed(self._causes)})" if self.retried else "",
            f"paid ${self.cost:.4f}" if self._priced else "",
            f"{slots} at a time" if slots else "",
            f"pausing {pause:.0f} s" if pause > 1 else "",
        ]
        return ", ".join(part for part in parts if part)


def _listed(causes: Counter[str]) -> str:
    return ", ".join(f"{name} x{n}" for name, n in causes.most_common(3))
