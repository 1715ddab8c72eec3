"""Figures of a run beside its time: tokens that a job generated, and what endpoints cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from personae.base.errors import PersonaeError
from personae.workflow.progress import machine_rates
from personae.workflow.progress.time_left import TimeLeft

if TYPE_CHECKING:
    from personae.workflow.config import Study

_TOKENS: Final = "response_ids.list.element"


def generated_tokens(outputs: Iterable[str | Path]) -> int:
    """Return how many tokens of responses tables hold, from their footers alone."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    total = 0
    for path in outputs:
        if Path(path).suffix != ".parquet":
            continue
        try:
            metadata = pq.read_metadata(path)
        except (OSError, pa.ArrowException):
            continue
        for group in (metadata.row_group(i) for i in range(metadata.num_row_groups)):
            columns = (group.column(i) for i in range(group.num_columns))
            total += sum(one.num_values for one in columns if one.path_in_schema == _TOKENS)
    return total


def spent_words(study: Study) -> str:
    """Return what the study's endpoints cost so far, in words; empty if nothing was asked."""
    from personae.endpoints.answer_database import FILE, AnswerDatabase

    folder = Path(study.config.judging.answers)
    if not study.endpoint_names or not (folder / FILE).is_file():
        return ""
    try:
        with AnswerDatabase(folder) as database:
            spent = database.spent(study.config.study)
    except PersonaeError:
        return ""
    if not spent.requests:
        return ""
    cost = f", ${spent.cost:.2f}" if spent.cost else ", no price is known"
    return f"{spent.requests:,} requests{cost}"


def expected_seconds(study: Study) -> Mapping[str, float]:
    """Return the seconds that the estimate expects of one node of each rule, the first one.

    A rule that asks neither a model nor a judge has 1: the estimate has no figure for it.
    """
    from personae.workflow.estimate import node_seconds
    from personae.workflow.stages.registry import STAGES, nodes

    found = {}
    for rule, stage in STAGES.items():
        first = next(nodes(stage, study, study.model_names[0]), None) if stage.work else None
        found[rule] = 1.0 if first is None else node_seconds(study, rule, first)
    return found


def wall_clock(study: Study, jobs: Mapping[str, int], rates: Path | None = None) -> str:
    """Return one line: how long jobs will take on this machine, by what its earlier runs took.

    Parameters
    ----------
    study
        The study.
    jobs
        Jobs by rule.
    rates
        Folder of the rates of earlier runs; the user's cache by default.
    """
    expected = expected_seconds(study)
    known = machine_rates.load(rates)
    seconds = TimeLeft(jobs, known, lambda rule: expected.get(rule, 1.0)).seconds()
    if seconds is None:
        return (
            "Wall clock: not known, as this machine has run few of these rules before; the hours "
            "are of one job after another."
        )
    return f"Wall clock: about {coarse(seconds)}, from earlier runs of this machine."


def coarse(seconds: float) -> str:
    """Return a duration as an estimate deserves: whole seconds below 100, else whole minutes."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
