"""Claims about steering along trait vectors (PV, steps 6 and 7)."""

from __future__ import annotations

import functools
from typing import Final

import numpy as np
import pandas as pd

from personae.data.effect_tables import baseline, usable_coefficient
from personae.report.scorecard.claim import Claim, Finding, Outcome, Untestable
from personae.report.scorecard.evidence import Evidence
from personae.report.scorecard.expectations import Above, Below
from personae.report.wording import readable
from personae.science.cluster_inference import Inference, mean_of_clusters
from personae.science.jackknife import mean_correlation
from personae.science.resampling import midranks

_CLUSTER = ["trait", "question_id"]


def _effects(evidence: Evidence, name: str = "steering_effects") -> pd.DataFrame:
    return evidence.read(name, filters=[("judge", "==", evidence.criteria.judge)])


_UNIFORM: Final = 9999
_MIDDLE: Final = 0.6
"""Depth at which the paper's layers lie: 20 of 28, 16 of 32."""


def _layer_depth(evidence: Evidence) -> Outcome:
    """How much nearer to the middle the chosen layers are than layers chosen at random."""
    effects = _effects(evidence, "sweep_effects")
    chosen = effects[effects.chosen.fillna(False).astype(bool)].groupby("trait").layer.first()
    n_layers = evidence.read("directions", ["layer"]).layer.max() + 1
    candidates = effects[effects.coefficient != 0].groupby("trait").layer.unique()
    off = {
        trait: np.abs((np.sort(layers) + 1) / n_layers - _MIDDLE)
        for trait, layers in candidates.items()
        if trait in chosen.index
    }
    nearer = pd.Series(
        {t: o.mean() - abs((chosen[t] + 1) / n_layers - _MIDDLE) for t, o in off.items()}
    )
    each = ", ".join(f"{readable(str(t))} layer {layer}" for t, layer in chosen.items())
    found = mean_of_clusters(nearer, nearer.index)
    rng = np.random.default_rng(evidence.criteria.seed)
    null = np.mean([o.mean() - rng.choice(o, _UNIFORM) for o in off.values()], axis=0)
    p = float((1 + (null >= nearer.mean() - 1e-12).sum()) / (1 + _UNIFORM))
    return Finding(
        found.interval, p, found.clusters, found.n, judge=evidence.criteria.judge, detail=each
    )


def _scored(evidence: Evidence, judge: str, rubric: str) -> pd.DataFrame:
    """Mean score of every (trait, question), direction (trait or random) and coefficient."""
    columns = ["response_id", "trait", "direction", "coefficient", "question_id"]
    responses = evidence.read("steered_responses", columns)
    wanted = [("judge", "==", judge), ("rubric", "==", rubric)]
    scores = evidence.read("steered_scores", ["response_id", "score"], wanted)
    rows = responses.merge(scores, on="response_id", how="left")
    side = np.where(rows.direction.str.startswith("random"), "random", "trait")
    side = np.where(rows.coefficient == 0, "none", side)
    keys = [*_CLUSTER, "side", "coefficient"]
    return rows.assign(side=side).groupby(keys).score.mean().reset_index()


def _coefficients(effects: pd.DataFrame, floor: float, sign: int) -> dict[str, float]:
    """Per trait, the largest coefficient of one sign that keeps responses coherent."""
    found = {}
    for trait, rows in effects.groupby("trait"):
        turned = rows.assign(coefficient=sign * rows.coefficient)
        coefficient = usable_coefficient(turned, floor)
        if coefficient is not None:
            found[str(trait)] = sign * coefficient
    return found


def _changes(rows: pd.DataFrame, coefficients: dict[str, float], side: str) -> pd.Series:
    """Change of every (trait, question) from coefficient 0 to the trait's coefficient."""
    of_side = rows[(rows.side == side) & (rows.coefficient == rows.trait.map(coefficients))]
    plain = rows[rows.side == "none"]
    return (of_side.set_index(_CLUSTER).score - plain.set_index(_CLUSTER).score).dropna()


def _inference(changes: pd.Series) -> Inference:
    labels = ["/".join(map(str, key)) for key in changes.index]
    return mean_of_clusters(changes.to_numpy(), np.array(labels, dtype=str))


def _compared(
    rows: pd.DataFrame, coefficients: dict[str, float], sign: int, judge: str, detail: str
) -> Outcome:
    """Change along trait vectors; p also compares it with random directions, item by item."""
    own = _changes(rows, coefficients, "trait")
    random = _changes(rows, coefficients, "random")
    if own.empty:
        return Untestable("no steered response was scored")
    if random.empty:
        return Untestable("no random direction was used for steering")
    found, beyond = _inference(own), _inference((own - random).dropna())
    side = "p_greater" if sign > 0 else "p_less"
    p = max(getattr(found, side), getattr(beyond, side))
    null = float(random.mean())
    return Finding(found.interval, p, found.clusters, found.n, null, judge, detail)


def _steered(evidence: Evidence, *, sign: int, second: bool = False) -> Outcome:
    """Gain (``sign`` 1) or loss (-1) of the trait score, trait vectors against random ones."""
    judge = evidence.criteria.second_judge if second else evidence.criteria.judge
    if judge is None:
        return Untestable("the study has no second judge")
    coefficients = _coefficients(
        evidence.read("steering_effects"), evidence.criteria.coherence_floor, sign
    )
    if not coefficients:
        return Untestable("no coefficient of this sign keeps responses coherent")
    rows = _scored(evidence, judge, "trait")
    by_trait = _changes(rows, coefficients, "trait").groupby(level="trait").mean()
    each = [f"{readable(t)} {change:+.0f} at {coefficients[t]:g}" for t, change in by_trait.items()]
    return _compared(rows, coefficients, sign, judge, ", ".join(each))


def _dose(evidence: Evidence) -> Outcome:
    """Rank correlation of coefficient and trait score within (trait, question)."""
    effects, floor = evidence.read("steering_effects"), evidence.criteria.coherence_floor
    own = effects[~effects.direction.str.startswith("random") & (effects.rubric == "coherence")]
    lowest = own.groupby(["trait", "coefficient"])["mean"].min()
    fluent = {
        str(trait): set(part[part >= floor].index.get_level_values("coefficient"))
        for trait, part in lowest.groupby(level="trait")
    }
    rows = _scored(evidence, evidence.criteria.judge, "trait").dropna(subset="score")
    kept = [c in fluent.get(t, ()) for t, c in zip(rows.trait, rows.coefficient, strict=True)]
    rows = rows[kept]
    own, random = (
        rows[rows.side != other].groupby(_CLUSTER).apply(_rank_correlation).dropna()
        for other in ("random", "trait")
    )
    if own.empty:
        return Untestable("no trait has three coherent coefficients")
    found, beyond = _inference(own), _inference((own - random).dropna())
    null = float(random.mean())
    p = max(found.p_greater, beyond.p_greater)
    interval = mean_correlation(own.to_numpy())
    return Finding(interval, p, found.clusters, found.n, null, evidence.criteria.judge)


def _rank_correlation(rows: pd.DataFrame) -> float:
    if rows.coefficient.nunique() < 3 or rows.score.nunique() < 2:
        return float("nan")
    return float(np.corrcoef(midranks(rows.coefficient), midranks(rows.score))[0, 1])


def _coherence_breaks(evidence: Evidence) -> Outcome:
    """Coherence at the largest coefficient minus that without steering."""
    effects = _effects(evidence)
    largest = {str(t): float(rows.coefficient.max()) for t, rows in effects.groupby("trait")}
    judge = evidence.criteria.judge
    start = np.mean([baseline(part, "coherence") for _, part in effects.groupby("trait")])
    own = _changes(_scored(evidence, judge, "coherence"), largest, "trait")
    random = _changes(_scored(evidence, judge, "coherence"), largest, "random")
    if own.empty:
        return Untestable("no steered response was scored for coherence")
    found = _inference(own)
    detail = f"from {start:.0f} without steering"
    if len(random):
        detail += f"; along random directions {random.mean():+.0f}"
    return Finding(found.interval, found.p_less, found.clusters, found.n, None, judge, detail)


_GAIN = "Change in trait score from no steering, largest coherent coefficient, all traits"
_ITEMS = "trait x question, steered and unsteered paired"
_BEYOND_RANDOM = "sign flips of the change and of its excess over random directions"

CLAIMS = (
    Claim(
        id="middle-layers-steer-best",
        paper="PV",
        section="6 Layer sweep",
        text="Steering is most effective at middle layers.",
        estimand="Depth by which chosen layers are nearer to 0.6 than candidates on average",
        published="layer 20 of 28 (Qwen2.5-7B), 16 of 32 (Llama 3.1 8B)",
        published_size=0.15,
        unit="traits",
        null="layers drawn evenly from the candidates",
        expect=Above(bound=0.0, smallest=0.05),
        min_clusters=8,
        judged=("trait", "coherence"),
        measure=_layer_depth,
    ),
    Claim(
        id="steering-increases-trait",
        paper="PV",
        section="7 Steering",
        text="Steering along a trait vector increases the trait.",
        estimand=_GAIN,
        published="positive for every trait",
        published_size=40.0,
        unit=_ITEMS,
        null=_BEYOND_RANDOM,
        expect=Above(bound=0.0, smallest=10.0),
        judged=("trait", "coherence"),
        linear_in="trait",
        measure=functools.partial(_steered, sign=1),
    ),
    Claim(
        id="steering-increases-trait-second-judge",
        paper="PV",
        section="7 Steering",
        text="A second judge confirms the increase.",
        estimand=_GAIN,
        published="not reported",
        unit=_ITEMS,
        null=_BEYOND_RANDOM,
        expect=Above(bound=0.0, smallest=10.0),
        judged=("trait",),
        linear_in="trait",
        measure=functools.partial(_steered, sign=1, second=True),
    ),
    Claim(
        id="steering-decreases-trait",
        paper="PV",
        section="7 Steering",
        text="Steering against a trait vector decreases the trait.",
        estimand="Change in trait score from no steering, strongest coherent negative coefficient, "
        "all traits",
        published="negative",
        published_size=-20.0,
        unit=_ITEMS,
        null=_BEYOND_RANDOM,
        expect=Below(bound=0.0, smallest=-5.0),
        judged=("trait", "coherence"),
        linear_in="trait",
        measure=functools.partial(_steered, sign=-1),
    ),
    Claim(
        id="dose-response",
        paper="PV",
        section="7 Steering",
        text="The effect increases with the coefficient.",
        estimand="Mean rank correlation between coefficient and trait score of a question, "
        "coherent coefficients",
        published="positive",
        published_size=0.8,
        unit="trait x question",
        null="sign flips of the correlation and of its excess over random directions",
        expect=Above(bound=0.0, smallest=0.4),
        judged=("trait",),
        measure=_dose,
    ),
    Claim(
        id="strong-steering-breaks-coherence",
        paper="PV",
        section="7 Steering",
        text="Strong steering reduces coherence.",
        estimand="Change in coherence at the largest coefficient, 0-100",
        published="negative",
        published_size=-30.0,
        unit=_ITEMS,
        null="sign flips; any direction of this norm may do it, so random ones are no null here",
        expect=Below(bound=0.0, smallest=-10.0),
        judged=("coherence",),
        linear_in="coherence",
        measure=_coherence_breaks,
    ),
)
