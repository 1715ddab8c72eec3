"""Tables of one model on which the claims are tested."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pandas as pd

from personae.data.data_frames import read_frame
from personae.data.effect_tables import POOLED
from personae.data.schemas import SCHEMAS
from personae.science.resampling import Bootstrap, Interval
from personae.workflow.stages.registry import scorecard_kinds

SCHEMA_OF: Final = scorecard_kinds()
"""Inputs of the scorecard by name, with the schema of their tables."""


_OF_KEPT_TRAITS = (
    "trait_vectors",
    "sweep_effects",
    "steering_effects",
    "steered_responses",
    "monitoring",
)
"""Inputs that are empty for a trait that the filter dropped."""


class NotMeasuredError(Exception):
    """This study lacks the tables that a claim needs; the message says why."""


class NoTraitKeptError(NotMeasuredError):
    """No trait of the study passed the filter, so that nothing was steered or monitored."""


@dataclass(frozen=True)
class Criteria:
    """Settings of the study used in statistics and criteria.

    Attributes
    ----------
    variance_threshold
        Share of variance that the counted components must explain.
    coherence_floor
        Minimum mean coherence (0-100) of a coefficient.
    judge, second_judge
        Primary judge, and the second judge or ``None``.
    draws, seed
        Bootstrap draws and seed of the scorecard's intervals.
    role_rollouts
        Rollouts of each role on extraction questions.
    """

    variance_threshold: float
    coherence_floor: float
    judge: str
    second_judge: str | None
    draws: int
    seed: int
    role_rollouts: int

    @property
    def plan(self) -> Bootstrap:
        """Bootstrap settings of the scorecard's intervals."""
        return Bootstrap(self.draws, self.seed)


@dataclass(frozen=True)
class Evidence:
    """Tables of one model of a study, read on demand.

    Attributes
    ----------
    model
        Name in the model table.
    middle_layer
        Layer at which the papers' middle-layer claims are tested.
    n_roles
        Roles of the study, without the default Assistant.
    files
        Maps an input, as in `SCHEMA_OF`, to its files: one, or one per trait.
    criteria
        Settings of the study.
    base
        Name of the base model that it was trained from; empty if the model table names none.
    seen
        Files that were read; cleared by whoever asks what one claim reads.
    """

    model: str
    middle_layer: int
    n_roles: int
    files: Mapping[str, Sequence[str]]
    criteria: Criteria
    base: str = field(default="", kw_only=True)
    seen: set[str] = field(default_factory=set, compare=False, repr=False, kw_only=True)

    def read(
        self, name: str, columns: list[str] | None = None, filters: Any = None
    ) -> pd.DataFrame:
        """Read an input; the tables of several traits are concatenated.

        Raises
        ------
        NotMeasuredError
            If the study has no such table, because the arm is switched off, or it has no row,
            because the study is too small for it.
        NoTraitKeptError
            If the tables of all traits are empty, because the filter dropped every trait.
        """
        files, schema = list(self.files.get(name, ())), SCHEMA_OF[name]
        if not files:
            raise NotMeasuredError(f"this study makes no table {name!r}")
        self.seen.update(map(str, files))
        frame = read_frame(files, schema, columns, filters)
        if frame.empty and read_frame(files, schema, [SCHEMAS[schema].names[0]]).empty:
            if name in _OF_KEPT_TRAITS:
                raise NoTraitKeptError("the filter dropped every trait")
            raise NotMeasuredError(f"table {name!r} of this study has no rows")
        return frame

    def judge_slope(self, judge: str, rubric: str) -> Interval:
        """Slope of a judge's means in the labels; NaN where it was not measured."""
        return self._of_judge(judge, rubric, "slope")

    def judge_false_high(self, judge: str, rubric: str) -> Interval:
        """Share of labelled responses that are low and that a judge calls high; NaN if unknown."""
        return self._of_judge(judge, rubric, "false_high")

    def _of_judge(self, judge: str, rubric: str, name: str) -> Interval:
        unknown = Interval(math.nan, math.nan, math.nan)
        wanted = [name, f"{name}_low", f"{name}_high"]
        try:
            rows = self.read("agreement", ["judge", "rubric", "target", *wanted])
        except NotMeasuredError:
            return unknown
        rows = rows[(rows.judge == judge) & (rows.rubric == rubric) & (rows.target == POOLED)]
        return unknown if rows.empty else Interval(*rows[wanted].iloc[0].astype(float))

    def judge_auc_low(self, judge: str, rubric: str) -> float:
        """Lower bound of a judge's AUC on labelled responses; NaN where it was not measured."""
        try:
            rows = self.read("agreement", ["judge", "rubric", "target", "auc_low"])
        except NotMeasuredError:
            return math.nan
        here = (rows.judge == judge) & (rows.rubric == rubric) & (rows.target == POOLED)
        return float(rows[here].auc_low.iloc[0]) if here.any() else math.nan

    @property
    def at_middle(self) -> list[tuple[str, str, int]]:
        """Filter that keeps the middle layer."""
        return [("layer", "==", self.middle_layer)]


def files_of_model(
    inputs: Mapping[str, Sequence[str]], study_folder: Path, model: str
) -> dict[str, list[str]]:
    """Select the files of one model: its tables and its figures, which have a folder each."""
    folders = {study_folder / model, study_folder / "figures" / model}
    return {
        name: [path for path in paths if folders.intersection(Path(path).parents)]
        for name, paths in inputs.items()
    }
