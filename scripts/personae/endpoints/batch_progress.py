"""Counts of a batch of requests, and their line in the log."""

from __future__ import annotations

import logging
import time
from collections import Counter

LOG = logging.getLogger("personae")


class BatchProgress:
    """Counts of one batch; ``known`` of its ``total`` answers were stored before it began."""

    def __init__(self, endpoint: str, total: int, known: int, *, priced: bool) -> None:
        self._endpoint, self._priced, self._known = endpoint, priced, known
        self.total = total
        self.answered = self.failed = self.slowed = 0
        self.cost = 0.0
        self.retried: Counter[str] = Counter()
        self._start = time.monotonic()

    def count_retry(self, cause: Exception) -> None:
        """Count a failure after which a request is tried again."""
        self.retried[str(cause).partition(":")[0]] += 1

    def log(self, concurrency: int) -> None:
        """Write the counts to the log."""
        rate = self.answered / max(time.monotonic() - self._start, 1e-9)
        causes = ", ".join(f"{cause} x{n}" for cause, n in self.retried.most_common(3))
        parts = [
            f"{self._endpoint}: {self._known + self.answered} of {self.total} answers",
            f"{self._known} of them from earlier" if self._known else "",
            f"{rate:.1f}/s" if self.answered else "",
            f"{self.failed} given up" if self.failed else "",
            f"{self.retried.total()} retried ({causes})" if self.retried else "",
            f"slowed down {self.slowed} times" if self.slowed else "",
            f"paid ${self.cost:.4f}" if self._priced else "",
            f"{concurrency} at a time",
        ]
        LOG.info("%s", ", ".join(part for part in parts if part))
