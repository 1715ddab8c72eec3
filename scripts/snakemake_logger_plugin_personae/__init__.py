"""A progress line for Snakemake: jobs done, rule, tokens, cost, personas, time elapsed and left.

Loaded by ``--logger personae``, which the local profile sets. One line per finished node; warnings,
errors and the failing node's log are passed on unchanged. On a terminal the last line is the state
of the run. The time left comes from measured durations only, see
`personae.workflow.progress.time_left`. Dry runs look as they do without it.

Snakemake imports this module in every run before it reads a study, so a broken study file is
rejected here.
"""

from __future__ import annotations

import sys
from logging import WARNING, Handler, LogRecord
from pathlib import Path
from typing import Any

from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.settings import OutputSettingsLoggerInterface

from personae.workflow.progress.run_progress import RunProgress
from personae.workflow.progress.status_lines import StatusLines
from personae.workflow.requested_targets import called_by_snakemake
from personae.workflow.study_files import study_file_problem


class LogHandler(LogHandlerBase):
    """Turns Snakemake's events into lines on standard error."""

    def __post_init__(self) -> None:
        self._run = RunProgress()
        self._lines = StatusLines(sys.stderr)
        self._is_opened = False
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
            self._run.begin(getattr(record, "stats", None) or {})
        elif event == LogEvent.JOB_INFO:
            self._start(record)
        elif event == LogEvent.JOB_FINISHED:
            self._run.finish(_field(record, "job_id"))
        elif event == LogEvent.PROGRESS:
            self._say(self._run.line(_field(record, "done"), _field(record, "total")))
        elif event == LogEvent.JOB_ERROR:
            rule, logs = str(getattr(record, "rule_name", "")), getattr(record, "log", None)
            self._say(self._run.fail(_field(record, "jobid"), rule, [str(p) for p in logs or []]))
        elif event in (None, LogEvent.ERROR) and self._is_shown(record):
            self._say(record.getMessage())

    def close(self) -> None:
        """Print how the run ended; Snakemake calls this after the last event."""
        for line in self._run.closing():
            self._lines.say(line)
        self._run = RunProgress()
        super().close()

    def _start(self, record: LogRecord) -> None:
        if not self._is_opened:
            self._is_opened = True
            for line in self._run.opening():
                self._lines.say(line)
        self._run.start(_field(record, "jobid"), *_identity(record))
        self._lines.status(self._run.status())

    def _is_shown(self, record: LogRecord) -> bool:
        if record.msg is None:
            return False
        return record.levelno >= WARNING or "Nothing to be done" in str(record.msg)

    def _say(self, line: str) -> None:
        if line:
            self._lines.say(line)
            self._lines.status(self._run.status())


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


def _identity(record: LogRecord) -> tuple[str, str, tuple[str, ...]]:
    """Return the rule, its wildcards without study and model, and its outputs."""
    wildcards: dict[str, Any] = dict(getattr(record, "wildcards", None) or {})
    persona = " ".join(str(v) for k, v in wildcards.items() if k not in ("study", "model"))
    outputs = tuple(str(path) for path in getattr(record, "output", None) or ())
    return str(getattr(record, "rule_name", "")), persona, outputs
