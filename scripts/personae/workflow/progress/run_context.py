"""What the rule files know of the run, for the handler that reports its progress."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from personae.workflow.config import Study


@dataclass(frozen=True)
class RunContext:
    """The study that runs, and how many of its nodes have a result already.

    Attributes
    ----------
    study
        The study.
    reused
        Nodes whose results of earlier runs are used as they are.
    is_local
        Whether jobs run on this machine.
    """

    study: Study
    reused: int
    is_local: bool = True

    @property
    def results(self) -> Path:
        """Folder of the study's results."""
        return Path("results") / self.study.config.study

    @property
    def report(self) -> Path:
        """The page that a whole run ends with."""
        return self.results / "report.html"


_begun: Final[list[RunContext]] = []


def begin(context: RunContext) -> None:
    """Tell what runs in this process."""
    _begun[:] = [context]


def current() -> RunContext | None:
    """Return what runs in this process; None before it has begun."""
    return _begun[0] if _begun else None
