"""Simulated contrasts of traits, their vectors, monitoring, and the judge's labelled set."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from personae.data.effect_tables import POOLED
from personae.data.table_values import MANY_SHOT, SYSTEM_PROMPT
from personae.science.monitoring import Monitored
from personae.science.monitoring_alerts import alert_rows
from personae.science.reliability import SummedContrast, split_half_reliability
from personae.science.sparse_features import COSINE
from personae.science.steering_arms import VARIANT
from personae.science.token_reading import TOWARD
from personae.science.trait_geometry import NEGATIVE, pair_rows, random_contrasts
from personae.tools.verdict_calibration.simulated_grids import (
    JUDGES,
    MIDDLE,
    NOISE,
    OF_QUESTION,
    Frames,
    codes,
    grid,
    names,
)
from personae.workflow.claim_sizes import Sizes

_HIDDEN: Final = 32
_FALSE_ALARMS: Final = 0.05


def contrast_tables(sizes: Sizes, effect: float, rng: np.random.Generator) -> Frames:
    """Pairs of opposed prompts by trait and question, and traits' vectors by halves."""
    traits, questions = names("t", sizes.traits), names("q", sizes.contrast_questions)
    rows = grid(trait=traits, question_id=questions, pair=range(sizes.pairs))
    t, q = codes(rows.trait), codes(rows.question_id)
    shape = (len(traits), len(questions))
    base = (45.0 + rng.normal(0, OF_QUESTION, shape))[t, q]
    gap = (60.0 * effect + rng.normal(0, 10.0, shape))[t, q]
    for name, side in (("positive", 1), ("negative", -1)):
        rows[name] = np.clip(base + side * gap / 2 + rng.normal(0, NOISE, len(rows)), 0, 100)
    rows["effective"] = (rows.positive >= 50) & (rows.negative < 50)
    rows["n_kept"] = rows.effective.astype(int)
    return {
        "trait_pairs": rows,
        "trait_vectors": pd.DataFrame([_vector(t, sizes, effect, rng) for t in traits]),
    }


def _vector(trait: str, sizes: Sizes, effect: float, rng: np.random.Generator) -> dict[str, object]:
    """Split-half reliability of one trait's vector, of as many folds as there are questions."""
    k = sizes.contrast_questions
    signal = effect * 1.5 * rng.normal(size=_HIDDEN)
    shared = rng.normal(size=(k, 1, _HIDDEN))  # of the question, in both sides
    sides = [(shared + rng.normal(size=(k, 1, _HIDDEN)) + s * signal / 2) / k for s in (1, -1)]
    found = split_half_reliability(
        SummedContrast(np.stack(sides), np.full((2, k), 1 / k)),
        splits=50,
        seed=int(rng.integers(2**31)),
    )
    return {
        "trait": trait,
        "variant": VARIANT,
        "layer": MIDDLE,
        "split_half": found.cosine[0],
        "split_half_low": found.low[0],
        "split_half_high": found.high[0],
        "split_half_p": found.p[0],
        "split_half_folds": found.n_questions,
    }


def geometry_tables(sizes: Sizes, effect: float, rng: np.random.Generator) -> Frames:
    """Trait vectors with a common part of the negative ones, against random contrasts of roles."""
    others = names("t", max(sizes.traits - len(NEGATIVE), 2))
    common = rng.normal(size=_HIDDEN)
    vectors = {
        name: rng.normal(size=_HIDDEN) + effect * common * (name in NEGATIVE)
        for name in (*NEGATIVE, *others)
    }
    contrasts = random_contrasts(rng.normal(size=(12, _HIDDEN)), 200, int(rng.integers(2**31)))
    return {"trait_pair_cosines": pd.DataFrame(pair_rows(vectors, contrasts, MIDDLE))}


def reading_tables(sizes: Sizes, effect: float, rng: np.random.Generator) -> Frames:
    """Tokens and features of trait vectors: as near as shuffled vectors come to any, or nearer."""
    first = pd.DataFrame({"trait": names("t", sizes.traits), "side": TOWARD, "rank": 1})
    first = first.assign(null_p95=1.0)
    reached = 1.0 + 0.4 * effect + rng.normal(0.0, 0.2, (2, len(first)))
    tokens = first.rename(columns={"trait": "direction"}).assign(logit=reached[0])
    features = first.assign(autoencoder="sae", by=COSINE, feature=range(len(first)))
    return {"vector_tokens": tokens, "vector_features": features.assign(value=reached[1])}


def agreement_tables(sizes: Sizes, effect: float, rng: np.random.Generator) -> Frames:
    """The judge on its labelled set: as good as the published one, or no better than chance."""
    right = rng.binomial(sizes.labelled, 0.947 if effect else 0.5)
    row = {
        "judge": JUDGES[0],
        "rubric": "trait",
        "target": POOLED,
        "n": sizes.labelled,
        "accuracy": right / sizes.labelled,
    }
    return {"agreement": pd.DataFrame([row])}


def monitoring_tables(sizes: Sizes, effect: float, rng: np.random.Generator) -> Frames:
    """Projections of last prompt tokens and scores over graded prompts and numbers of examples.

    Without an effect, conditions and questions still move projection and score, each on its own.
    """
    tables, points, alerts = [], [], []
    for trait in names("t", sizes.traits):
        made = _monitored(trait, sizes, effect, rng)
        tables.append(made.correlation_table().to_pandas())
        points.append(made.point_table().to_pandas())
        alerts += alert_rows(made, _FALSE_ALARMS)
    columns = ["trait", "auc", "auc_low", "auc_high", "caught", "false_alarms"]
    return {
        "monitoring": pd.concat(tables, ignore_index=True),
        "monitoring_points": pd.concat(points, ignore_index=True),
        "monitoring_alerts": pd.DataFrame(alerts, columns=[*columns, "n_shown", "n_other"]),
    }


def _monitored(trait: str, sizes: Sizes, effect: float, rng: np.random.Generator) -> Monitored:
    parts = []
    for kind, n in ((SYSTEM_PROMPT, sizes.conditions), (MANY_SHOT, sizes.shots)):
        parts.append(
            grid(kind=[kind], grade=range(n), question_id=names("q", sizes.monitored_questions))
        )
    frame = pd.concat(parts, ignore_index=True)
    condition, question = codes(frame.kind + frame.grade.astype(str)), codes(frame.question_id)
    grade = np.concatenate([np.linspace(-1.6, 1.6, n) for n in (sizes.shots, sizes.conditions)])
    asked = rng.normal(0, 0.5, (2, sizes.monitored_questions))[:, question]
    own = rng.normal(0, 1.2, len(grade))[condition]
    inner = rng.normal(0, 0.5, len(frame))
    x = grade[condition] + asked[0] + inner
    true = effect * (grade[condition] + asked[0] + inner) + (1 - effect) * own
    y = 45.0 + 22.0 * (true + asked[1])
    y = np.clip(y + rng.normal(0, NOISE / np.sqrt(sizes.monitored_samples), len(y)), 0, 100)
    frame = frame.assign(trait=trait, response_id=names(trait, len(frame)))
    return Monitored(frame, [MIDDLE], x[:, np.newaxis], y, MIDDLE)
