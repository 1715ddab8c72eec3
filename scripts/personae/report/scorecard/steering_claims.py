"""Claims about steering along trait vectors (PV, steps 6 and 7)."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from personae.data.effect_tables import baseline, usable_coefficient
from personae.report.scorecard.claim import Claim, ClaimOutcome, MeasuredClaim, Untestable, point
from personae.report.scorecard.evidence import Evidence
from personae.report.wording import readable
from personae.science.resampling import ClusteredOutcomes, Interval, bootstrap_contrast


def _effects(evidence: Evidence, name: str = "steering_effects") -> pd.DataFrame:
    return evidence.read(name, filters=[("judge", "==", evidence.criteria.judge)])


def _layer_depth(evidence: Evidence) -> ClaimOutcome:
    effects = _effects(evidence, "sweep_effects")
    chosen = effects[effects.chosen.fillna(False).astype(bool)].groupby("trait").layer.first()
    n_layers = evidence.read("directions", ["layer"]).layer.max() + 1
    depth = (chosen + 1) / n_layers
    each = ", ".join(f"{readable(str(t))} layer {layer}" for t, layer in chosen.items())
    middle = float(depth.median())
    return MeasuredClaim(
        point(middle),
        0.35 <= middle <= 0.80,
        len(chosen),
        None,
        evidence.criteria.judge,
        each,
    )


def _scored(evidence: Evidence, judge: str, rubric: str) -> pd.DataFrame:
    """Steered responses with one judge's score, the arm, and (trait, question) as cluster."""
    columns = ["response_id", "trait", "direction", "coefficient", "question_id"]
    responses = evidence.read("steered_responses", columns)
    wanted = [("judge", "==", judge), ("rubric", "==", rubric)]
    scores = evidence.read("steered_scores", ["response_id", "score"], wanted)
    rows = responses.merge(scores, on="response_id", how="left")
    return rows.assign(cluster=rows.trait + "/" + rows.question_id)


def _coefficients(effects: pd.DataFrame, floor: float, sign: int) -> dict[str, float]:
    """Per trait, the largest coefficient of one sign that keeps responses coherent."""
    found = {}
    for trait, rows in effects.groupby("trait"):
        turned = rows.assign(coefficient=sign * rows.coefficient)
        coefficient = usable_coefficient(turned, floor)
        if coefficient is not None:
            found[str(trait)] = sign * coefficient
    return found


def _change(
    rows: pd.DataFrame, coefficients: dict[str, float], random: bool, evidence: Evidence
) -> Interval:
    """Change in score from coefficient 0; questions of all traits are resampled jointly."""
    rows = rows[rows.trait.isin(coefficients)]
    along = rows.direction.str.startswith("random") == random
    steered = rows[along & (rows.coefficient == rows.trait.map(coefficients))]
    plain = rows[rows.coefficient == 0]
    arms = [
        ClusteredOutcomes(part.score.to_numpy(), part.cluster.to_numpy())
        for part in (steered, plain)
    ]
    return bootstrap_contrast(arms[0], arms[1], evidence.criteria.plan)


def _steered(evidence: Evidence, *, sign: int, second: bool = False) -> ClaimOutcome:
    """Gain (``sign`` 1) or loss (-1) of the trait score, trait vectors against random ones."""
    judge = evidence.criteria.second_judge if second else evidence.criteria.judge
    if judge is None:
        return Untestable("the study has no second judge")
    coefficients = _coefficients(_effects(evidence), evidence.criteria.coherence_floor, sign)
    if not coefficients:
        return Untestable("no coefficient of this sign keeps responses coherent")
    rows = _scored(evidence, judge, "trait")
    own = _change(rows, coefficients, False, evidence)
    null = _change(rows, coefficients, True, evidence).estimate
    if np.isnan(null):
        return Untestable("no random direction was used for steering")
    beyond = own.low > max(null, 0.0) if sign > 0 else own.high < min(null, 0.0)
    each = [
        f"{readable(t)} {_change(rows, {t: c}, False, evidence).estimate:+.0f} at {c:g}"
        for t, c in coefficients.items()
    ]
    n = int(rows[rows.trait.isin(coefficients)].cluster.nunique())
    return MeasuredClaim(own, bool(beyond), n, null, judge, ", ".join(each))


def _dose(evidence: Evidence) -> ClaimOutcome:
    """Rank correlation between coefficient and mean trait score, over coherent coefficients."""
    effects, floor = _effects(evidence), evidence.criteria.coherence_floor
    own, random = [], []
    for _, rows in effects.groupby("trait"):
        is_random = rows.direction.str.startswith("random")
        fluent = rows[
            (rows.rubric == "coherence") & (rows["mean"] >= floor) & ~is_random
        ].coefficient
        scored = (rows.rubric == "trait") & rows.coefficient.isin(fluent)
        own.append(_rank_correlation(rows[scored & ~is_random]))
        random.append(_rank_correlation(rows[scored & (is_random | (rows.coefficient == 0))]))
    if np.isnan(own).all():
        return Untestable("no trait has three coherent coefficients")
    value, null = _mean(own), _mean(random)
    met = value >= 0.8 and not value <= null
    return MeasuredClaim(
        point(value),
        met,
        len(own),
        null,
        evidence.criteria.judge,
        "n counts traits",
    )


def _mean(values: list[float]) -> float:
    """Mean of the defined values; NaN if there is none."""
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")


def _rank_correlation(scores: pd.DataFrame) -> float:
    means = scores.groupby("coefficient")["mean"].mean()
    if len(means) < 3 or means.nunique() < 2:
        return float("nan")
    return float(spearmanr(means.index, means.to_numpy()).statistic)


def _coherence_breaks(evidence: Evidence) -> ClaimOutcome:
    """Coherence at the largest coefficient minus that without steering."""
    effects = _effects(evidence)
    largest = {str(t): float(rows.coefficient.max()) for t, rows in effects.groupby("trait")}
    rows = _scored(evidence, evidence.criteria.judge, "coherence")
    own = _change(rows, largest, False, evidence)
    null = _change(rows, largest, True, evidence).estimate
    start = np.mean([baseline(rows, "coherence") for _, rows in effects.groupby("trait")])
    return MeasuredClaim(
        own,
        own.high < 0,
        int(rows.cluster.nunique()),
        null,
        evidence.criteria.judge,
        f"from {start:.0f} without steering",
    )


CLAIMS = (
    Claim(
        paper="PV",
        section="6 Layer sweep",
        text="Steering is most effective at middle layers.",
        statistic="Median depth of the chosen layers, as a share of all layers",
        published="layer 20 of 28 (Qwen2.5-7B), 16 of 32 (Llama 3.1 8B)",
        criterion="between 0.35 and 0.80",
        measure=_layer_depth,
    ),
    Claim(
        paper="PV",
        section="7 Steering",
        text="Steering along a trait vector increases the trait.",
        statistic="Change in trait score, largest coherent coefficient, all traits",
        published="positive for every trait",
        criterion="the interval over questions lies above 0 and above the random direction",
        measure=functools.partial(_steered, sign=1),
    ),
    Claim(
        paper="PV",
        section="7 Steering",
        text="A second judge confirms the increase.",
        statistic="Change in trait score, largest coherent coefficient, all traits",
        published="not reported",
        criterion="the interval over questions lies above 0 and above the random direction",
        measure=functools.partial(_steered, sign=1, second=True),
    ),
    Claim(
        paper="PV",
        section="7 Steering",
        text="Steering against a trait vector decreases the trait.",
        statistic="Change in trait score, strongest coherent negative coefficient, all traits",
        published="negative",
        criterion="the interval over questions lies below 0 and below the random direction",
        measure=functools.partial(_steered, sign=-1),
    ),
    Claim(
        paper="PV",
        section="7 Steering",
        text="The effect increases with the coefficient.",
        statistic="Mean rank correlation between coefficient and trait score, coherent "
        "coefficients",
        published="positive",
        criterion="at least 0.8, and above the random direction",
        measure=_dose,
    ),
    Claim(
        paper="PV",
        section="7 Steering",
        text="Strong steering reduces coherence.",
        statistic="Change in coherence at the largest coefficient, 0-100",
        published="negative",
        criterion="the interval over questions lies below 0",
        measure=_coherence_breaks,
    ),
)
