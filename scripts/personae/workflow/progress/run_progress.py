"""The state of a run, fed with Snakemake's events, and the lines that it gives."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from personae.workflow.progress import machine_rates, run_context
from personae.workflow.progress.run_figures import (
    coarse,
    expected_seconds,
    generated_tokens,
    spent_words,
)
from personae.workflow.progress.time_left import TimeLeft
from personae.workflow.progress.wall_shares import WallShares
from personae.workflow.stages.registry import STAGES, persona_completing_rules

_PERSONA_RULES: Final = persona_completing_rules()
_MOST_FAILURES: Final = 10


class Job(NamedTuple):
    """A job that runs.

    Attributes
    ----------
    rule, persona
        Its rule, and its wildcards without study and model.
    outputs
        Files that it writes.
    started
        When, in seconds of the run's clock.
    """

    rule: str
    persona: str
    outputs: tuple[str, ...]
    started: float


class RunProgress:
    """One run of Snakemake.

    Parameters
    ----------
    clock
        Steady clock in seconds.
    rates
        Folder of the rates of earlier runs; the user's cache by default.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, rates: Path | None = None
    ) -> None:
        self._clock, self._rates = clock, rates
        self._stats: dict[str, int] = {}
        self._running: dict[int, Job] = {}
        self._last: tuple[Job, float] | None = None
        self._failed: dict[int, str] = {}
        self._shares = WallShares()
        self._left: TimeLeft | None = None
        self._personas = self._done = self._total = self._tokens = 0
        self._began = clock()

    def begin(self, stats: Mapping[str, int]) -> None:
        """The run's jobs by rule are known."""
        self._stats = {rule: int(n) for rule, n in stats.items() if rule != "total"}
        self._total = sum(self._stats.values())
        self._began = self._clock()

    def opening(self) -> Iterator[str]:
        """Yield what is reused and how long it will take, before the first job."""
        context = run_context.current()
        if context is None:
            return
        yield f"{self._total} jobs to run; the results of {context.reused} others are reused"
        kept = list((context.results / ".finished").glob("rows-*"))
        if kept:
            yield f"rows that {len(kept)} interrupted jobs had received are reused, too"
        if not context.is_local:
            yield "time left: not known, as jobs wait in a queue"
            return
        expected = expected_seconds(context.study)
        known = machine_rates.load(self._rates)
        self._left = TimeLeft(self._stats, known, lambda rule: expected.get(rule, 1.0))
        seconds = self._left.seconds()
        if seconds is None:
            yield "time left: not known yet, as this machine has run few of these rules before"
        else:
            yield f"time left: about {coarse(seconds)}, from earlier runs of this machine"

    def start(self, number: int, rule: str, persona: str, outputs: tuple[str, ...]) -> None:
        """A job starts."""
        job = Job(rule, persona, outputs, self._clock())
        self._running[number] = job
        self._failed.pop(number, None)
        self._shares.start(number, self._clock())

    def finish(self, number: int) -> None:
        """A job has ended well."""
        job, now = self._running.pop(number, None), self._clock()
        share = self._shares.end(number, now)
        if job is None:
            return
        self._last = job, now - job.started
        self._personas += job.rule in _PERSONA_RULES
        if self._left is not None:
            self._left.finish(job.rule, share)

    def fail(self, number: int, rule: str, logs: Sequence[str]) -> str:
        """A job has failed; return the line that says so."""
        job = self._running.pop(number, None)
        self._shares.end(number, self._clock())
        named = f"{job.rule} {job.persona}".strip() if job else rule
        line = named + (f"; its log: {', '.join(logs)}" if logs else "")
        self._failed[number] = line
        return f"FAILED {line}"

    def line(self, done: int, total: int) -> str:
        """Return the line of the job that has just ended; empty if none has."""
        self._done, self._total = done, total
        if self._last is None:
            return ""
        job, seconds = self._last
        columns = [
            f"[{done:>{len(str(total))}}/{total}]",
            f"{job.rule} {job.persona}".strip().ljust(48),
            *self._figures(job, seconds),
        ]
        return "  ".join(columns)

    def status(self) -> str:
        """Return where the run is, for the last line of a terminal."""
        names = [f"{job.rule} {job.persona}".strip() for job in self._running.values()]
        running = f"; running {', '.join(names[:2])}" if names else ""
        more = f" and {len(names) - 2} more" if len(names) > 2 else ""
        return f"{self._done} of {self._total} jobs, {self._times()}{running}{more}"

    def closing(self) -> Iterator[str]:
        """Yield how the run ended, where its report is, and how to go on; keep its rates."""
        if not self._stats:
            return
        if self._left is not None:
            machine_rates.keep(self._left.measured(), self._rates)
        context = run_context.current()
        elapsed = clock_words(self._clock() - self._began)
        tokens = f", {self._tokens:,} tokens generated" if self._tokens else ""
        yield f"{self._done} of {self._total} jobs done in {elapsed}{tokens}"
        if context and (spent := spent_words(context.study)):
            yield f"endpoints so far: {spent}"
        if self._done == self._total:
            if context and self._stats.get("write_report") and context.report.is_file():
                yield f"report: {context.report} (open it in a browser)"
            elif context:
                yield f"results: {context.results}"
            return
        for line in list(self._failed.values())[:_MOST_FAILURES]:
            yield f"failed: {line}"
        if len(self._failed) > _MOST_FAILURES:
            yield f"and {len(self._failed) - _MOST_FAILURES} more failed"
        mend = "mend what the logs say and " if self._failed else ""
        yield f"to go on, {mend}run the same command again: what is done is kept"

    def _figures(self, job: Job, seconds: float) -> Iterator[str]:
        if tokens := generated_tokens(job.outputs):
            self._tokens += tokens
            yield f"{tokens:,} tokens, {tokens / max(seconds, 0.1):,.0f}/s"
        stage, context = STAGES.get(job.rule), run_context.current()
        is_judge = stage is not None and stage.runs == "judge"
        if is_judge and context and (spent := spent_words(context.study)):
            yield spent
        if personas := sum(self._stats.get(name, 0) for name in _PERSONA_RULES):
            yield f"personas {self._personas}/{personas}"
        yield self._times()

    def _times(self) -> str:
        left = self._left.seconds() if self._left is not None else None
        elapsed = f"{clock_words(self._clock() - self._began)} elapsed"
        return elapsed if left is None else f"{elapsed}, about {coarse(left)} left"


def clock_words(seconds: float) -> str:
    """Return a duration as minutes and seconds, ``m:ss``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
