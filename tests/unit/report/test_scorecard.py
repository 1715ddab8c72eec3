"""The scorecard: planted effects, the rule of verdicts, and its table."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from personae.data import tables
from personae.report.scorecard.all_claims import CLAIMS, CROSS_CLAIMS, DIGEST, OPEN_CLAIMS
from personae.report.scorecard.claim import Claim, Finding, Untestable
from personae.report.scorecard.decision import (
    FAILED,
    INCONCLUSIVE,
    NOT_REPRODUCED,
    NOT_TESTABLE,
    PASSED,
    REPRODUCED,
    VERDICTS,
    decide,
    needs,
)
from personae.report.scorecard.evidence import SCHEMA_OF, Criteria, Evidence, files_of_model
from personae.report.scorecard.expectations import Above, Below, Within
from personae.report.scorecard.scoring import registry_digest, score_claims
from personae.science.resampling import Interval

from .synthetic.basics import JUDGES, MIDDLE, QUESTIONS, ROLES
from .synthetic.study import COHERENCE_FLOOR, Study

PLANTED = [
    "roles-are-played",
    "few-components",
    "axis-pc1-every-layer",
    "axis-pc1-middle-layer",
    "axis-separates-held-out",
    "axis-separates-unseen-roles",
    "message-predicts-projection",
    "message-predicts-change",
    "harm-rises-as-projection-falls",
    "trait-space-pc1-is-axis",
    "steering-away-adopts-personas",
    "steering-toward-drops-personas",
    "steering-toward-resists-jailbreaks",
    "personas-jailbreak",
    "capping-reduces-harm",
    "capping-lowers-delusion-risk",
    "risk-rises-as-projection-falls",
    "capping-reduces-role-play",
    "capping-reduces-jailbreak-role-play",
    "capping-reduces-role-play-second-judge",
    "capping-keeps-exact-answers",
    "prompts-shift-trait",
    "pairs-are-effective",
    "steering-increases-trait",
    "steering-increases-trait-second-judge",
    "steering-decreases-trait",
    "dose-response",
    "last-token-predicts-trait",
    "last-token-predicts-within",
]
"""Claims whose effect is there in the model `good` and absent in `flat`."""

TOO_FEW = [
    "default-at-the-edge",
    "drifting-moves-away",
    "drift-grows",
    "capping-keeps-conversations-close",
    "traits-can-be-elicited",
    "middle-layers-steer-best",
    "alarm-works-on-other-questions",
    "vectors-read-as-tokens",
    "features-interpret-traits",
]
"""Claims for which the synthetic study has too few roles, domains or traits."""


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
        "role_rollouts": 25,
    }
    files = files_of_model(study.inputs(list(SCHEMA_OF)), study.folder, model)
    return Evidence(model, MIDDLE, len(ROLES), files, Criteria(**(criteria | changes)))  # type: ignore[arg-type]


def row(scorecard: pd.DataFrame, claim: str, model: str = "good") -> pd.Series:
    """Return the one row of a claim in a model."""
    rows = scorecard[(scorecard.claim == claim) & (scorecard.model == model)]
    assert len(rows) == 1
    return rows.iloc[0]


def claim(claim_id: str) -> Claim:
    """Return a claim by its id."""
    return next(c for c in CLAIMS if c.id == claim_id)


@pytest.mark.parametrize("claim_id", PLANTED)
def test_a_planted_effect_is_reproduced_and_its_absence_is_not(
    scorecard: pd.DataFrame, claim_id: str
) -> None:
    assert row(scorecard, claim_id).verdict == REPRODUCED
    assert row(scorecard, claim_id, "flat").verdict == NOT_REPRODUCED


def test_ends_of_trait_space_are_found_and_not_made_up(scorecard: pd.DataFrame) -> None:
    assert row(scorecard, "assistant-traits-at-the-end").verdict == REPRODUCED
    flat = row(scorecard, "assistant-traits-at-the-end", "flat")
    assert flat.verdict in (NOT_REPRODUCED, INCONCLUSIVE)


@pytest.mark.parametrize(
    "claim_id",
    [
        "finetuning-shift-predicts-trait",
        "preventative-steering-prevents",
        "preventative-steering-costs-less",
        "projection-difference-screens",
        "response-vectors-steer-best",
    ],
)
def test_a_planted_effect_of_training_is_found_and_its_absence_is_not(
    scorecard: pd.DataFrame, claim_id: str
) -> None:
    assert row(scorecard, claim_id).verdict == REPRODUCED
    assert row(scorecard, claim_id, "flat").verdict in (NOT_REPRODUCED, INCONCLUSIVE)


@pytest.mark.parametrize("claim_id", TOO_FEW)
def test_too_few_units_are_inconclusive_and_have_no_interval(
    scorecard: pd.DataFrame, claim_id: str
) -> None:
    found = row(scorecard, claim_id)
    assert found.verdict == INCONCLUSIVE
    assert found.clusters < found.min_clusters
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert f"at least {found.min_clusters}" in found.reason


def test_values_are_those_of_the_tables(scorecard: pd.DataFrame, study: Study) -> None:
    layers = tables.read(study.table("good", "axis/space_layers"), "space_layers").to_pandas()
    middle = layers[(layers.layer == MIDDLE) & (layers.scaling == "centred")].iloc[0]
    found = row(scorecard, "axis-pc1-middle-layer")
    assert (found.value, found.low, found.high, found.null, found.p) == (
        middle.axis_pc1_cosine,
        middle.axis_pc1_low,
        middle.axis_pc1_high,
        middle.null_p95,
        middle.p_value,
    )


def test_steering_is_paired_by_question_and_compared_with_the_random_direction(
    scorecard: pd.DataFrame,
) -> None:
    found = row(scorecard, "steering-increases-trait")
    assert found.low < found.value < found.high
    assert abs(found.null) < 5 < found.low
    assert found.p < 0.001
    assert found.judge == JUDGES[0]
    assert found.clusters == 3 * len(QUESTIONS)
    assert "poetic +3" in found.detail


def a_claim(**changes: object) -> Claim:
    """Return a claim with plain numbers."""
    plain = Claim(
        id="plain",
        paper="PV",
        section="7 Steering",
        text="A sentence.",
        estimand="A number",
        published="1",
        unit="questions",
        null="sign flips",
        expect=Above(bound=0.0, smallest=5.0),
        measure=lambda _: Untestable("none"),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def finding(
    low: float, value: float, high: float, p: float | None = 0.01, **more: object
) -> Finding:
    """Return a finding over twelve clusters."""
    made = Finding(Interval(value, low, high), p, 12, 12)
    return made._replace(**more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (finding(2, 6, 10), REPRODUCED),
        (finding(2, 6, 10, p=0.06), INCONCLUSIVE),  # the null is not excluded
        (finding(2, 6, 10, p=None), INCONCLUSIVE),  # there is no test
        (finding(2, 4, 6), INCONCLUSIVE),  # smaller than what is of interest, perhaps
        (finding(-1, 6, 13), INCONCLUSIVE),
        (finding(1, 2, 4), NOT_REPRODUCED),  # there, and too small to be of interest
        (finding(-9, -6, -1, p=1.0), NOT_REPRODUCED),
        (finding(-9, 6, 20, p=0.6), NOT_REPRODUCED),  # the null does better
        (finding(2, 6, 10, null=3.0), INCONCLUSIVE),  # a random direction reaches the interval
        (finding(2, 6, 10, clusters=5), INCONCLUSIVE),
        (finding(math.nan, 6, math.nan), INCONCLUSIVE),
        (finding(math.nan, math.nan, math.nan), INCONCLUSIVE),
        (Untestable("no table"), NOT_TESTABLE),
    ],
)
def test_a_verdict_needs_interval_and_null(found: Finding | Untestable, verdict: str) -> None:
    assert decide(a_claim(), found, None).verdict == verdict
    if isinstance(found, Finding):
        mirrored = found._replace(
            interval=Interval(
                *(-x for x in (found.interval[0], found.interval[2], found.interval[1]))
            ),
            null=None if found.null is None else -found.null,
        )
        below = a_claim(expect=Below(bound=0.0, smallest=-5.0))
        assert decide(below, mirrored, None).verdict == verdict


def test_a_range_and_a_margin_are_tested_by_the_interval() -> None:
    inside = a_claim(expect=Within(0.0, 10.0))
    assert decide(inside, finding(1, 5, 9, p=None), None).verdict == REPRODUCED
    assert decide(inside, finding(-1, 5, 9, p=None), None).verdict == INCONCLUSIVE
    assert decide(inside, finding(11, 12, 13, p=None), None).verdict == NOT_REPRODUCED
    margin = a_claim(expect=Above(bound=-5.0, smallest=-5.0))
    assert decide(margin, finding(-4, 0, 4, p=None), None).verdict == REPRODUCED
    assert decide(margin, finding(-6, 0, 6, p=None), None).verdict == INCONCLUSIVE
    assert decide(margin, finding(-9, -8, -6, p=None), None).verdict == NOT_REPRODUCED


def test_a_check_passes_or_fails_on_its_value() -> None:
    check = a_claim(kind="check", expect=Above(bound=1.0, smallest=1.0))
    assert decide(check, finding(math.nan, 1.0, math.nan, p=None), None).verdict == PASSED
    assert decide(check, finding(math.nan, 0.9, math.nan, p=None), None).verdict == FAILED


@pytest.mark.parametrize("auc_low", [None, math.nan, 0.7, 0.75])
def test_a_judge_that_is_not_good_enough_decides_nothing(auc_low: float | None) -> None:
    judged = a_claim(judged=("trait",))
    found = finding(2, 6, 10, judge="likelihood")
    assert decide(judged, found, 0.76).verdict == REPRODUCED
    made = decide(judged, found, auc_low)
    assert made.verdict == INCONCLUSIVE
    assert "likelihood" in made.reason


def test_the_judge_is_measured_on_every_rubric_of_a_claim(study: Study, tmp_path: Path) -> None:
    path = study.table("good", "judging/agreement")
    rows = tables.read(path, "agreement").to_pylist()
    for found in rows:
        if found["rubric"] == "coherence":
            found["auc_low"] = 0.6
    worse = tmp_path / "agreement.parquet"
    tables.write(tables.from_rows(rows, "agreement"), worse, "agreement", {})
    whole = evidence(study)
    files = {**whole.files, "agreement": [str(worse)]}
    changed = replace(whole, files=files)
    both, one = (
        score_claims([claim(c)], (), [changed])[0]
        for c in ("steering-increases-trait", "prompts-shift-trait")
    )
    assert (both["verdict"], one["verdict"]) == (INCONCLUSIVE, REPRODUCED)
    assert both["judge_auc_low"] == 0.6


def test_every_claim_is_complete_and_its_id_unique() -> None:
    everything = (*CLAIMS, *CROSS_CLAIMS)
    for one in everything:
        assert one.text.endswith(".")
        assert one.id == one.id.lower().replace(" ", "-").replace("_", "-")
        for field in dataclasses.fields(one):
            optional = field.name in ("published_size", "linear_in")
            assert optional or getattr(one, field.name) not in ("", None)
        assert not one.linear_in or one.linear_in in one.judged
        assert one.alpha <= 0.05
        assert all(needs(one))
    assert len({one.id for one in everything}) == len(everything)
    texts = [one.text for one in (*everything, *OPEN_CLAIMS)]
    assert len(set(texts)) == len(texts)


def test_the_smallest_size_lies_beyond_the_bound() -> None:
    for one in (*CLAIMS, *CROSS_CLAIMS):
        if isinstance(one.expect, Within):
            assert one.expect.low < one.expect.high
        else:
            turned = one.expect.turned
            assert turned(one.expect.smallest) >= turned(one.expect.bound)


def test_every_step_of_both_papers_has_its_claims() -> None:
    steps = {
        paper: {int(c.section.split()[0]) for c in (*CLAIMS, *OPEN_CLAIMS) if c.paper == paper}
        for paper in ("AA", "PV")
    }
    assert steps["AA"] >= set(range(3, 11))
    assert steps["PV"] >= set(range(3, 13))


def test_the_digest_is_of_the_data_and_not_of_the_code_or_the_order() -> None:
    everything = (*CLAIMS, *CROSS_CLAIMS)
    assert registry_digest(everything[::-1]) == DIGEST
    first = everything[0]
    assert (
        registry_digest((replace(first, measure=lambda _: Untestable("x")), *everything[1:]))
        == DIGEST
    )  # type: ignore[arg-type]
    assert registry_digest((replace(first, alpha=0.04), *everything[1:])) != DIGEST
    stricter = replace(first, expect=Above(bound=0.5, smallest=0.61))
    assert registry_digest((stricter, *everything[1:])) != DIGEST


def test_every_row_has_a_verdict_and_a_reason_where_it_is_open(scorecard: pd.DataFrame) -> None:
    assert len(scorecard) == 2 * len(CLAIMS) + len(CROSS_CLAIMS)
    assert set(scorecard.verdict) <= set(VERDICTS)
    assert scorecard.reproduced_if.str.len().gt(0).all()
    open_ = scorecard.verdict.isin((NOT_TESTABLE, INCONCLUSIVE))
    assert scorecard[open_].reason.str.len().gt(0).all()
    assert scorecard[scorecard.verdict == NOT_TESTABLE].value.isna().all()
    assert (scorecard[scorecard.kind == "check"].verdict == PASSED).all()


def test_a_judge_s_own_error_can_undo_a_verdict() -> None:
    """The raw interval is as expected; the one that holds the judge's error must be as well."""
    found = finding(6, 10, 14, p=0.01)
    narrow, wide = Interval(11.0, 6.0, 16.0), Interval(11.0, -2.0, 24.0)
    unknown = Interval(math.nan, math.nan, math.nan)
    assert decide(a_claim(), found, None, None).verdict == REPRODUCED
    assert decide(a_claim(), found, None, narrow).verdict == REPRODUCED
    for corrected in (wide, unknown):
        verdict = decide(a_claim(), found, None, corrected)
        assert verdict.verdict == INCONCLUSIVE
        assert "judge's own error" in verdict.reason


def test_changes_of_judged_means_stand_beside_their_correction(scorecard: pd.DataFrame) -> None:
    found = row(scorecard, "steering-increases-trait")
    assert found.corrected == pytest.approx(found.value / 0.9)
    assert found.corrected_high - found.corrected_low > (found.high - found.low) / 0.9
    assert pd.isna(row(scorecard, "axis-pc1-middle-layer").corrected)


def test_a_role_is_played_only_beyond_the_judge_s_mistakes(study: Study) -> None:
    """20 of 25 responses exceed a false positive rate of up to 20 %; of 80 % they do not."""
    whole = evidence(study)
    [found] = score_claims([claim("roles-are-played")], (), [whole])
    assert found["value"] == 1.0
    sloppy = evidence(study, role_rollouts=100)
    [found] = score_claims([claim("roles-are-played")], (), [sloppy])
    assert found["value"] == 0.0
    assert found["verdict"] == NOT_REPRODUCED


def test_an_arm_that_is_switched_off_makes_its_claims_untestable(study: Study) -> None:
    whole = evidence(study)
    without = replace(whole, files={**whole.files, "drift": []})
    [found] = score_claims([claim("drifting-moves-away")], (), [without])
    assert found["verdict"] == NOT_TESTABLE
    assert "makes no table 'drift'" in found["reason"]


def test_models_are_compared_only_when_there_are_several(
    scorecard: pd.DataFrame, study: Study
) -> None:
    alone = score_claims((), CROSS_CLAIMS, [evidence(study)])
    assert row(scorecard, "models-share-pc1", "all models").verdict == REPRODUCED
    for single in alone:
        assert single["verdict"] == NOT_TESTABLE
        assert "1 model in this study" in single["reason"]


def test_a_model_is_compared_with_its_base_where_the_table_names_one(
    scorecard: pd.DataFrame, study: Study
) -> None:
    # The synthetic `good` is said to be trained from `flat`: the only pair there is.
    found = row(scorecard, "base-shares-geometry", "all models")
    whole = row(scorecard, "models-share-geometry", "all models")
    assert (found.value, found.low, found.verdict) == (whole.value, whole.low, whole.verdict)
    strangers = [evidence(study), evidence(study, "flat")]
    rows = {r["claim"]: r for r in score_claims((), CROSS_CLAIMS, strangers)}
    assert "trained from another one" in rows["base-shares-geometry"]["reason"]


def test_without_a_second_judge_or_coherent_coefficient_claims_are_untestable(
    study: Study,
) -> None:
    changed = evidence(study, second_judge=None, coherence_floor=101.0)
    rows = {r["claim"]: r for r in score_claims(CLAIMS, (), [changed])}
    for claim_id, reason in (
        ("steering-increases-trait-second-judge", "no second judge"),
        ("steering-increases-trait", "keeps responses coherent"),
        ("dose-response", "three coherent coefficients"),
    ):
        assert rows[claim_id]["verdict"] == NOT_TESTABLE
        assert reason in rows[claim_id]["reason"]


def test_a_capping_setting_is_chosen_on_other_items(study: Study) -> None:
    """The setting of each half is the best one of the other half, whatever it is on its own."""
    from personae.science.capping_selection import held_out_best

    items = pd.Index([f"c{i}" for i in range(8)])
    even = np.arange(8) % 2 == 0
    reductions = pd.DataFrame(
        {"a": np.where(even, 1.0, 0.0), "b": np.where(even, 0.0, 1.0)}, index=items
    )
    allowed = pd.DataFrame({"a": [True, True], "b": [True, True]})
    found = held_out_best(reductions, allowed, items)
    assert found.settings == ["a", "b"]
    assert found.changes.eq(0.0).all()
    barred = pd.DataFrame({"a": [False, False], "b": [True, True]})
    assert held_out_best(reductions, barred, items).settings == ["b", "b"]


@pytest.mark.parametrize("settings", [1, 3, 6])
def test_errors_of_halves_that_choose_for_each_other_are_wide_enough(settings: int) -> None:
    """Settings that are alike: the mean's own scatter against the one that clusters tell."""
    from personae.science.capping_selection import held_out_best

    rng, names = np.random.default_rng(3), [f"s{i}" for i in range(settings)]
    clusters = pd.Index([f"c{i}" for i in range(8)])
    allowed = pd.DataFrame(True, index=[0, 1], columns=names)
    means, errors = [], []
    for _ in range(1500):
        drawn = pd.DataFrame(rng.normal(size=(8, settings)), index=clusters, columns=names)
        found = held_out_best(drawn, allowed, clusters)
        means.append(found.changes.mean())
        errors.append(found.changes.var() / 8)
    told = np.mean(errors) * found.widening**2
    assert 0.92 < told / np.var(means) < (1.1 if settings > 1 else 1.08)
    if settings > 1:
        assert np.mean(errors) / np.var(means) < 0.85, "without it they would not be"
