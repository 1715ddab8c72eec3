"""Builds the judges that a study names."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import Field

from personae.base.field_types import Strict
from personae.endpoints.runtime import Runtime
from personae.judging.calibration import CLASSIFIER, Calibration
from personae.judging.classifier_judge import ClassifierJudge
from personae.judging.embedding_judge import EmbeddingJudge
from personae.judging.engine_protocols import JudgeEngine
from personae.judging.judge_types import OFFLINE, Judge, JudgeItem, RubricKind
from personae.judging.judging_settings import SampledJudge
from personae.judging.labelled_set import exemplars
from personae.judging.likelihood_judge import LikelihoodJudge
from personae.judging.rubrics import RubricTemplate
from personae.personas.library import Labelled


class JudgingRecord(Strict):
    """The settings that scores depend on, from `personae.workflow.node_params.judging`."""

    primary: str = Field(description="Name of the judge whose scores decide.")
    second: str | None = Field(default=None, description="Name of the second opinion.")
    sampled: list[SampledJudge] = Field(default=[], description="Judges of a share.")
    kinds: list[RubricKind] = Field(default=[], description="Rubrics that judges are measured by.")
    bias_checks: bool = Field(default=False, description="Measure what the order changes.")
    endpoints: dict[str, dict[str, Any]] = Field(
        default={}, description="What determines the answers of each endpoint that judges."
    )
    rubric_templates: dict[RubricKind, RubricTemplate] = Field(
        default={}, description="Rubrics of chat judges, by kind."
    )
    templates: dict[str, dict[str, str]] = Field(
        default={}, description="Prompts that take their place, by kind and target."
    )


class SampledJudgeShare(NamedTuple):
    """A judge, and the share of the questions whose responses it judges."""

    judge: Judge
    share: float

    def items(self, items: Sequence[JudgeItem]) -> list[JudgeItem]:
        """Return the items that this judge scores: all answers to a share of the questions.

        The questions are chosen by their texts alone, one at least. Every arm then has its share,
        and an answer with an intervention is judged exactly when the one without is.
        """
        questions = sorted({item.question for item in items}, key=self._draw)
        chosen = set(questions[: max(1, round(self.share * len(questions)))])
        return [item for item in items if item.question in chosen]

    def _draw(self, question: str) -> bytes:
        return hashlib.sha256(f"{self.judge.name}\0{question}".encode()).digest()


class Panel(NamedTuple):
    """The primary judge, whose scores decide, and further opinions.

    ``max_unscored`` is the largest share that a judge may leave unscored.
    """

    primary: Judge
    second: Judge | None = None
    sampled: tuple[SampledJudgeShare, ...] = ()
    max_unscored: float = 1.0

    @property
    def judges(self) -> list[Judge]:
        """All judges, the primary one first."""
        return [share.judge for share in self.shares]

    def deciding(self, kind: RubricKind) -> Judge:
        """Return the judge whose scores decide on a kind of rubric.

        It is the primary judge, or the second one if the primary does not know the rubric.

        Raises
        ------
        ValueError
            When neither knows it.
        """
        for judge in (self.primary, self.second):
            if judge is not None and kind in judge.kinds:
                return judge
        raise ValueError(f"neither the primary nor the second judge scores {kind}")

    @property
    def shares(self) -> list[SampledJudgeShare]:
        """All judges with their shares, the primary one first."""
        full = [self.primary] if self.second is None else [self.primary, self.second]
        return [*(SampledJudgeShare(judge, 1.0) for judge in full), *self.sampled]


def make_panel(
    record: JudgingRecord,
    engine: JudgeEngine | None,
    labelled: Labelled,
    calibration: Calibration | None,
    runtime: Runtime | None = None,
) -> Panel:
    """Return the judges of a study.

    Parameters
    ----------
    record
        Who judges, by which rubrics.
    engine
        The model server, which offline judges need.
    labelled
        The labelled set, from which the embedding judge takes its examples.
    calibration
        None only while judges are being calibrated.
    runtime
        The endpoints, which chat judges need, and what share a judge may leave unscored.

    Raises
    ------
    ValueError
        When a judge lacks what it needs.
    """

    def make(name: str) -> Judge:
        if name not in OFFLINE:
            return _chat_judge(name, record, runtime)
        if engine is None:
            raise ValueError(f"the {name} judge needs a model server, and there is none")
        if name == "likelihood":
            return LikelihoodJudge(engine, calibration)
        if name == CLASSIFIER:
            return ClassifierJudge(engine, exemplars(labelled), calibration)
        return EmbeddingJudge(engine, exemplars(labelled), calibration)

    return Panel(
        make(record.primary),
        None if record.second is None else make(record.second),
        tuple(SampledJudgeShare(make(other.judge), other.share) for other in record.sampled),
        1.0 if runtime is None else runtime.max_unscored,
    )


def _chat_judge(name: str, record: JudgingRecord, runtime: Runtime | None) -> Judge:
    # Imported here: the client library takes longer to load than an offline node to run.
    from personae.judging.chat_judge import ChatJudge

    if runtime is None:
        raise ValueError(f"the judge {name} needs the run's endpoints, and there are none")
    return ChatJudge(name, runtime, record.rubric_templates, record.templates)
