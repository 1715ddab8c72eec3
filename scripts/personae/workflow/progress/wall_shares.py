"""Wall-clock time divided among the jobs that run at the same time."""

from __future__ import annotations


class WallShares:
    """Shares of jobs in the time of a run: each moment counts equally for all running jobs.

    Shares add up to the time in which anything ran, however many jobs ran beside each other, so
    the sum of the shares that jobs still need is the time that is left.
    """

    def __init__(self) -> None:
        self._shares: dict[int, float] = {}
        self._last = 0.0

    def start(self, job: int, now: float) -> None:
        """A job starts at ``now``, in seconds of any steady clock."""
        self._advance(now)
        self._shares[job] = 0.0

    def end(self, job: int, now: float) -> float:
        """Return the share of a job that ends now, in seconds; 0 if it is not known to run."""
        self._advance(now)
        return self._shares.pop(job, 0.0)

    def _advance(self, now: float) -> None:
        for job in self._shares:
            self._shares[job] += (now - self._last) / len(self._shares)
        self._last = now
