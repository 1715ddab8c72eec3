"""Scores of every judge on the labelled set: raw, mapped and cross-validated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from personae.judging.calibration import (
    POOLED,
    Calibration,
    Key,
    LinearModel,
    ScoreMapping,
    Trained,
    cross_validated,
    fit,
    folds,
)
from personae.judging.classifier_judge import ClassifierJudge
from personae.judging.embedding_judge import EmbeddingJudge
from personae.judging.judge_factory import Panel
from personae.judging.judge_types import Judge, JudgeVerdict
from personae.judging.labelled_set import LabelledItem, by_rubric
from personae.judging.likelihood_judge import LikelihoodJudge
from personae.judging.unscored_limit import refuse_unscored
from personae.science.score_levels import WORDED

Record = dict[str, Any]


class PanelMeasurement(NamedTuple):
    """Scores of all judges on the labelled set.

    Attributes
    ----------
    calibration
        The mappings of the offline judges.
    scored
        Rows of ``labelled_scores``.
    reordered
        The same rows of chat judges that read the answer before the rubric.
    across
        Rows of ``labelled_scores`` of the classifier, each answer judged by a model that was
        trained on answers of other styles.
    """

    calibration: Calibration
    scored: list[Record]
    reordered: list[Record]
    across: list[Record]


def measure_panel(
    panel: Panel, items: Sequence[LabelledItem], *, bias_checks: bool
) -> PanelMeasurement:
    """Return the mappings of the offline judges, and every judge's scores of the labelled set.

    Role adherence is calibrated over all roles together; traits each by itself and, for traits
    without labels, together. A judge is measured by the rubrics that it knows.

    Raises
    ------
    PersonaeError
        When a judge leaves more unscored than ``judging.max_unscored`` allows: agreement on the
        the rest would say little about the judge.
    """
    mappings: dict[Key, ScoreMapping] = {}
    scored: list[Record] = []
    reordered: list[Record] = []
    across: list[Record] = []
    models: dict[Trained, LinearModel] = {}
    for judge in panel.judges:
        own = [item for item in items if item.rubric.kind in judge.kinds]
        if isinstance(judge, LikelihoodJudge | EmbeddingJudge):
            if isinstance(judge, ClassifierJudge):
                models = judge.learn(own)
                across += _across_styles(judge, own)
            found = _checked(_raw_records(judge, own), panel.max_unscored)
            mappings |= _fit_all(judge.name, found)
            scored += _cross_validate(found)
        else:
            scored += _checked(_scored_records(judge, own), panel.max_unscored)
            if bias_checks and (other := _reordered(judge)):
                # What is unscored in the other order counts in that comparison alone.
                reordered += _scored_records(other, own)
    return PanelMeasurement(Calibration(mappings, models), scored, reordered, across)


def _checked(records: list[Record], most: float) -> list[Record]:
    """Return the records of one judge, of which no more than a share may be unscored."""
    if records:
        refuse_unscored(records[0]["judge"], ((r["rubric"], r["reason"]) for r in records), most)
    return records


def _reordered(judge: Judge) -> Judge | None:
    from personae.judging.chat_judge import ChatJudge

    return judge.reordered() if isinstance(judge, ChatJudge) else None


def _record(judge: str, item: LabelledItem, raw: float, reason: str | None) -> Record:
    return {
        "item_id": item.item.response_id,
        "rubric": item.rubric.kind,
        "target": item.rubric.target,
        "judge": judge,
        "question": item.item.question,
        "length": len(item.item.response),
        "label": item.label,
        "label_name": item.name,
        "raw": raw,
        "score": None,
        "score_name": None,
        "fold": 0,
        "reason": reason,
        "mode": "offline",
    }


def _raw_records(
    judge: LikelihoodJudge | EmbeddingJudge, items: Sequence[LabelledItem]
) -> list[Record]:
    records = []
    for rubric, members in by_rubric(items).items():
        asked = [member.item for member in members]
        values = judge.raw([rubric], asked)[0]
        found = [
            _record(judge.name, member, value, "empty_response" if math.isnan(value) else None)
            for member, value in zip(members, values, strict=True)
        ]
        if rubric.kind in WORDED:
            said = judge.score([rubric], asked)
            found = [
                record | {"score": verdict.score, "score_name": verdict.label}
                for record, verdict in zip(found, said, strict=True)
            ]
        records += found
    return records


def _across_styles(judge: ClassifierJudge, items: Sequence[LabelledItem]) -> list[Record]:
    """Return raw scores of models that saw no answer in the style of the one that is judged."""
    styles = judge.styles(items)
    records = []
    for rubric, members in by_rubric(items).items():
        groups = [styles[member.item.response] for member in members]
        values = judge.held_out(rubric, [member.item for member in members], groups, styles)
        records += [
            _record(judge.name, member, value, None)
            for member, value in zip(members, values, strict=True)
        ]
    return records


def _scored_records(judge: Judge, items: Sequence[LabelledItem]) -> list[Record]:
    groups = by_rubric(items)
    tasks = [([rubric], [member.item for member in group]) for rubric, group in groups.items()]
    members = [member for group in groups.values() for member in group]
    verdicts = judge.score_tasks(tasks)
    return [_judged(m, v) for m, v in zip(members, verdicts, strict=True)]


def _judged(member: LabelledItem, given: JudgeVerdict) -> Record:
    raw = math.nan if given.score is None else given.score
    # Only where people chose a word is the judge's word compared with it.
    name = given.label if member.name is not None else None
    said = {"score": given.score, "score_name": name, "mode": given.mode}
    return _record(given.judge, member, raw, given.reason) | said


def _families(records: Sequence[Record]) -> dict[tuple[str, str], list[Record]]:
    """Group records by what shares a mapping: a trait, all roles, coherence."""
    families: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        target = record["target"] if record["rubric"] == "trait" else POOLED
        families.setdefault((record["rubric"], target), []).append(record)
    return families


def _fit_all(judge: str, records: Sequence[Record]) -> dict[Key, ScoreMapping]:
    families = _families([record for record in records if record["rubric"] not in WORDED])
    traits = [record for record in records if record["rubric"] == "trait"]
    if traits:
        families["trait", POOLED] = traits
    return {
        (judge, kind, target): fit(
            kind, [m["raw"] for m in members], [m["label"] for m in members], judge
        )
        for (kind, target), members in families.items()
    }


def _cross_validate(records: Sequence[Record]) -> list[Record]:
    # A word is that of the nearest examples of other questions: nothing is fitted.
    scored = [record for record in records if record["rubric"] in WORDED]
    fitted = [record for record in records if record["rubric"] not in WORDED]
    for (kind, _), members in _families(fitted).items():
        fold = folds([member["question"] for member in members])
        scores = cross_validated(
            kind,
            [m["raw"] for m in members],
            [m["label"] for m in members],
            fold,
            members[0]["judge"],
        )
        scored += [
            {**member, "score": score, "fold": int(number)}
            for member, score, number in zip(members, scores, fold, strict=True)
        ]
    return scored
