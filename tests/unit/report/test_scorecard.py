"""The scorecard: planted effects, untestable claims, and its table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from personae.data import tables
from personae.report.scorecard.all_claims import CLAIMS, CROSS_CLAIMS
from personae.report.scorecard.claim import (
    NOT_REPRODUCED,
    NOT_TESTABLE,
    REPRODUCED,
    VERDICTS,
    score_claims,
)
from personae.report.scorecard.evidence import SCHEMA_OF, Criteria, Evidence, files_of_model

from .synthetic.basics import JUDGES, MIDDLE, QUESTIONS, ROLES
from .synthetic.study import COHERENCE_FLOOR, Study

PLANTED = [
    "System prompts make a model fully play most roles.",
    "Persona space has few dimensions.",
    "The axis aligns with PC 1 at every layer.",
    "The axis aligns with PC 1 at the middle layer.",
    "The default Assistant lies at one extreme of PC 1.",
    "The axis separates the default Assistant from roles on held-out questions.",
    "Drifting conversations move away from the Assistant along the axis.",
    "Drift increases from turn to turn.",
    "Capping keeps the same conversations closer to the Assistant.",
    "The mean default Assistant lies at about the 25th percentile of all rollouts.",
    "Capping reduces role play on role prompts.",
    "Capping reduces role play under persona jailbreaks.",
    "A second judge confirms the reduction on role prompts.",
    "Positive and negative system prompts increase and decrease a trait.",
    "Enough prompt pairs are effective for extracting vectors.",
    "Most traits can be elicited.",
    "Trait vectors do not depend on individual questions.",
    "Steering along a trait vector increases the trait.",
    "A second judge confirms the increase.",
    "Steering against a trait vector decreases the trait.",
    "The effect increases with the coefficient.",
    "The projection of the last prompt token predicts the trait score of the response.",
    "It does so when examples instead of instructions elicit the trait.",
    "It also does so within a single prompt.",
]
"""Claims whose effect is there in the model `good` and absent in `flat`."""


@pytest.fixture(scope="module")
def scorecard(study: Study) -> pd.DataFrame:
    """Return the scorecard of the synthetic study."""
    return tables.read(study.scorecard, "scorecard").to_pandas()


def evidence(study: Study, model: str = "good", **changes: object) -> Evidence:
    """Return the evidence of one model, with some criteria changed."""
    criteria: dict[str, object] = {
        "variance_threshold": 0.7,
        "coherence_floor": COHERENCE_FLOOR,
        "judge": JUDGES[0],
        "second_judge": JUDGES[1],
        "draws": 100,
        "seed": 0,
    }
    files = files_of_model(study.inputs(list(SCHEMA_OF)), study.folder, model)
    return Evidence(model, MIDDLE, len(ROLES), files, Criteria(**(criteria | changes)))  # type: ignore[arg-type]


def row(scorecard: pd.DataFrame, claim: str, model: str) -> pd.Series:
    """Return the one row of a claim in a model."""
    rows = scorecard[(scorecard.claim == claim) & (scorecard.model == model)]
    assert len(rows) == 1
    return rows.iloc[0]


@pytest.mark.parametrize("claim", PLANTED)
def test_a_planted_effect_is_reproduced_and_its_absence_is_not(
    scorecard: pd.DataFrame, claim: str
) -> None:
    assert row(scorecard, claim, "good").verdict == REPRODUCED
    assert row(scorecard, claim, "flat").verdict == NOT_REPRODUCED


def test_values_are_those_of_the_tables(scorecard: pd.DataFrame, study: Study) -> None:
    layers = tables.read(study.table("good", "axis/space_layers"), "space_layers").to_pandas()
    middle = layers[(layers.layer == MIDDLE) & (layers.scaling == "centred")].iloc[0]
    found = row(scorecard, "The axis aligns with PC 1 at the middle layer.", "good")
    assert (found.value, found.low, found.high, found.null, found.n) == (
        middle.axis_pc1_cosine,
        middle.axis_pc1_low,
        middle.axis_pc1_high,
        middle.null_p95,
        len(ROLES),
    )


def test_steering_is_paired_by_question_and_compared_with_the_random_direction(
    scorecard: pd.DataFrame,
) -> None:
    found = row(scorecard, "Steering along a trait vector increases the trait.", "good")
    assert found.low < found.value < found.high
    assert abs(found.null) < 5 < found.low
    assert found.judge == JUDGES[0]
    assert "poetic +3" in found.note


def test_every_step_of_both_papers_has_its_claims() -> None:
    steps = {
        paper: {int(c.section.split()[0]) for c in CLAIMS if c.paper == paper}
        for paper in ("AA", "PV")
    }
    assert steps["AA"] >= set(range(3, 11))
    assert steps["PV"] >= set(range(3, 13))
    assert len(CLAIMS) + len(CROSS_CLAIMS) >= 20


def test_every_claim_is_complete_and_unique() -> None:
    for claim in (*CLAIMS, *CROSS_CLAIMS):
        assert claim.text.endswith(".")
        assert not claim.criterion.endswith(".")
        assert claim.statistic
        assert claim.published
    texts = [claim.text for claim in (*CLAIMS, *CROSS_CLAIMS)]
    assert len(set(texts)) == len(texts)


def test_every_row_has_a_verdict_its_criterion_and_a_reason(scorecard: pd.DataFrame) -> None:
    assert len(scorecard) == 2 * len(CLAIMS) + len(CROSS_CLAIMS)
    assert set(scorecard.verdict) == set(VERDICTS)
    assert scorecard.note.str.startswith("Criterion: ").all()
    open_ = scorecard.verdict == NOT_TESTABLE
    assert scorecard.value.isna().equals(open_)
    assert scorecard.note.str.contains("Not testable: ").equals(open_)


def test_claims_without_an_experiment_are_not_testable(scorecard: pd.DataFrame) -> None:
    for claim in (
        "The shift along a trait vector predicts the effect of fine-tuning on the trait.",
        "Therapy and philosophy drift further than coding and writing.",
    ):
        assert row(scorecard, claim, "good").verdict == NOT_TESTABLE


def test_models_are_compared_only_when_there_are_several(
    scorecard: pd.DataFrame, study: Study
) -> None:
    alone = score_claims((), CROSS_CLAIMS, [evidence(study)])
    for claim, single in zip(CROSS_CLAIMS, alone, strict=True):
        assert row(scorecard, claim.text, "all models").verdict == REPRODUCED
        assert single["verdict"] == NOT_TESTABLE
        assert "1 model in this study" in single["note"]


def test_without_a_second_judge_or_coherent_coefficient_claims_are_untestable(
    study: Study,
) -> None:
    changed = evidence(study, second_judge=None, coherence_floor=101.0)
    rows = {r["claim"]: r for r in score_claims(CLAIMS, (), [changed])}
    for claim, reason in (
        ("A second judge confirms the increase.", "no second judge"),
        ("Steering along a trait vector increases the trait.", "keeps responses coherent"),
        ("The effect increases with the coefficient.", "three coherent coefficients"),
    ):
        assert rows[claim]["verdict"] == NOT_TESTABLE
        assert reason in rows[claim]["note"]


def test_two_conversations_are_too_few(study: Study, tmp_path: Path) -> None:
    claim = "Capping reduces role play under persona jailbreaks."
    path = study.table("good", "capping/responses")
    rows = tables.read(path, "capped_responses").to_pylist()
    kept = [r for r in rows if r["subject"] == "jester" and r["question_id"] in QUESTIONS[:2]]
    few = tables.from_rows(kept, "capped_responses")
    tables.write(few, tmp_path / "responses.parquet", "capped_responses", {})
    whole = evidence(study)
    files = {**whole.files, "capped_responses": [str(tmp_path / "responses.parquet")]}
    about = [c for c in CLAIMS if c.text == claim]
    [found] = score_claims(about, (), [replace(whole, files=files)])
    assert found["verdict"] == NOT_TESTABLE
    assert "2 items to resample; at least 4" in found["note"]
