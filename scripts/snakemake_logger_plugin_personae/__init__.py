"""A progress line for Snakemake: jobs done, rule, personas done, time elapsed and left.

Loaded by ``--logger personae``, which the local profile sets. One line per finished node; warnings,
errors and the failing node's log are passed on unchanged. Dry runs look as they do without it.

Snakemake imports this module in every run before it reads a study, so a broken study file is
rejected here.
"""

from __future__ import annotations

import sys
import time
from logging import WARNING, Handler, LogRecord
from pathlib import Path
from typing import Any, Final

from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.settings import OutputSettingsLoggerInterface

from personae.workflow.requested_targets import called_by_snakemake
from personae.workflow.stages.registry import persona_completing_rules
from personae.workflow.study_files import study_file_problem

_PERSONA_RULES: Final = persona_completing_rules()


class LogHandler(LogHandlerBase):
    """Turns Snakemake's events into lines on standard error."""

    def __post_init__(self) -> None:
        self._stats: dict[str, int] = {}
        self._running: dict[int, tuple[str, str]] = {}
        self._finished: tuple[str, str] | None = None
        self._personas = 0
        self._started = time.monotonic()
        self._plain = _plain(self.common_settings) if self.common_settings.dryrun else None

    @property
    def writes_to_stream(self) -> bool:
        """True: progress goes to standard error."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """False: Snakemake keeps its own log file."""
        return False

    @property
    def has_filter(self) -> bool:
        """True: this handler chooses what it shows."""
        return True

    @property
    def has_formatter(self) -> bool:
        """True: this handler writes its own lines."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """False: counts per rule are enough."""
        return False

    def emit(self, record: LogRecord) -> None:
        """Print a line for one event, or store what the next line needs."""
        if self._plain is not None:
            self._plain.handle(record)
            return
        event = getattr(record, "event", None)
        if event == LogEvent.RUN_INFO:
            self._run_info(record)
        elif event == LogEvent.JOB_INFO:
            self._running[_field(record, "jobid")] = _identity(record)
        elif event == LogEvent.JOB_FINISHED:
            self._finish(_field(record, "job_id"))
        elif event == LogEvent.PROGRESS:
            self._progress(_field(record, "done"), _field(record, "total"))
        elif event in (LogEvent.JOB_ERROR, LogEvent.GROUP_ERROR):
            self._failure(record)
        elif event in (None, LogEvent.ERROR) and self._is_shown(record):
            self._say(record.getMessage())

    def _is_shown(self, record: LogRecord) -> bool:
        if record.msg is None:
            return False
        return record.levelno >= WARNING or "Nothing to be done" in str(record.msg)

    def _run_info(self, record: LogRecord) -> None:
        stats = getattr(record, "stats", None) or {}
        self._stats = {rule: int(n) for rule, n in stats.items() if rule != "total"}
        self._started = time.monotonic()

    def _finish(self, job_id: int) -> None:
        self._finished = self._running.pop(job_id, None)
        if self._finished and self._finished[0] in _PERSONA_RULES:
            self._personas += 1

    def _progress(self, done: int, total: int) -> None:
        if self._finished is None:
            return
        rule, persona = self._finished
        elapsed = time.monotonic() - self._started
        left = elapsed / done * (total - done) if done else 0.0
        personas = sum(self._stats.get(name, 0) for name in _PERSONA_RULES)
        columns = [f"[{done:>{len(str(total))}}/{total}]", f"{rule} {persona}".strip().ljust(48)]
        if personas:
            columns.append(f"personas {self._personas}/{personas}")
        columns += [f"{_clock(elapsed)} elapsed", f"about {_coarse(left)} left"]
        self._say("  ".join(columns))

    def _failure(self, record: LogRecord) -> None:
        rule = getattr(record, "rule_name", None) or "a group of nodes"
        log = ", ".join(str(path) for path in getattr(record, "log", None) or [])
        self._say(f"FAILED {rule}" + (f"; its log: {log}" if log else ""))

    def _say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)


def _plain(settings: OutputSettingsLoggerInterface) -> Handler:
    """Return the handler that Snakemake uses without a plugin; dry runs list every job with it."""
    handler = ColorizingTextHandler(
        nocolor=settings.nocolor, stream=sys.stdout if settings.stdout else sys.stderr
    )
    handler.addFilter(
        DefaultFilter(
            settings.quiet,
            settings.debug_dag,
            settings.verbose,
            settings.dryrun,
            settings.printshellcmds,
        )
    )
    handler.setFormatter(DefaultFormatter(settings.quiet, settings.show_failed_logs))
    return handler


def _reject_broken_study() -> None:
    """End Snakemake with one line if a file of its study cannot be read, in this project only."""
    here = called_by_snakemake() and Path("scripts/personae/workflow").is_dir()
    if here and (problem := study_file_problem(sys.argv[1:])):
        sys.exit(problem)


_reject_broken_study()


def _field(record: LogRecord, name: str) -> int:
    return int(getattr(record, name, 0))


def _identity(record: LogRecord) -> tuple[str, str]:
    """Return the rule and its wildcards, without study and model."""
    wildcards: dict[str, Any] = dict(getattr(record, "wildcards", None) or {})
    persona = " ".join(str(v) for k, v in wildcards.items() if k not in ("study", "model"))
    return str(getattr(record, "rule_name", "")), persona


def _coarse(seconds: float) -> str:
    """Return a duration as an estimate deserves: whole seconds below 100, else whole minutes."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _clock(seconds: float) -> str:
    """Return a duration as minutes and seconds, ``m:ss``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
