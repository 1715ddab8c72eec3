"""Simulated steering along trait vectors: layer sweep, dose, variants, other traits."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from personae.science.steering_arms import VARIANT
from personae.science.steering_comparison import NONE, comparison_rows
from personae.tools.verdict_calibration.simulated_grids import (
    JUDGES,
    OF_QUESTION,
    Frames,
    codes,
    grid,
    names,
    scored,
)
from personae.workflow.claim_sizes import Sizes

_GAIN: Final = 40.0  # published change of a trait score at the largest coherent coefficient
_LOSS: Final = -20.0  # ... at the most negative one
_COHERENCE_LOSS: Final = -10.0  # ... below the largest coefficient, at most
_BREAKS: Final = -40.0
"""Further change of coherence at the largest coefficient, which no study then chooses: the value
that an interval should cover is that at the coefficient that its study chose."""
_BY_CHANCE: Final = 4.0
"""Standard deviation of what a meaningless direction of the same length does to a trait's score at
the largest coefficient; the same on every question, so that questions do not average it out."""
_LAYERS: Final = 30
_MOST_COMPARED: Final = 6
"""Traits of which each is measured when each is steered."""


def steering_tables(sizes: Sizes, effect: float, rng: np.random.Generator) -> Frames:
    """Steered responses along trait vectors and random directions, scored by both judges.

    Without an effect a trait's vector is one more random direction.
    """
    top = max(sizes.coefficients)
    coherent = sorted(c for c in sizes.coefficients if c > 0)[-2:][0]
    traits, questions = names("t", sizes.traits), names("q", sizes.steered_questions)
    directions = ["trait", *(f"random{i}" for i in range(sizes.random_directions))]
    rows = grid(
        trait=traits, question_id=questions, direction=directions, coefficient=sizes.coefficients
    )
    rows = rows[(rows.coefficient != 0) | (rows.direction == "trait")].reset_index(drop=True)
    t, q, d = codes(rows.trait), codes(rows.question_id), rows.direction.map(directions.index)
    c, own = rows.coefficient.to_numpy(float), (d == 0).to_numpy()
    base = 35.0 + rng.normal(0, OF_QUESTION, (len(traits), len(questions)))[t, q]
    slope = rng.normal(1.0, 0.3, (len(traits), len(questions)))[t, q]
    chance = rng.normal(0, _BY_CHANCE, (len(traits), len(directions)))[t, d.to_numpy()] * c / top
    gain = np.where(c > 0, _GAIN * c / coherent, -_LOSS * c / top) * slope * own * effect
    loss = effect * np.where(c > 0, _COHERENCE_LOSS * (c / top) ** 2 + _BREAKS * (c == top), 0.0)
    rows["response_id"] = names("s", len(rows))
    truths = {
        "trait": base + gain + np.where(own & (effect > 0), 0.0, chance),
        "coherence": 85 + loss,
    }
    scores = scored(rows, truths, rng, samples=sizes.steered_samples)
    merged = scores.merge(rows, on="response_id")
    keys = ["trait", "judge", "direction", "coefficient", "rubric"]
    effects = merged.groupby(keys).score.mean().rename("mean").reset_index()
    return {"steered_responses": rows, "steered_scores": scores, "steering_effects": effects}


def sweep_tables(sizes: Sizes, effect: float, rng: np.random.Generator) -> Frames:
    """Layers that the sweep chose: any of the candidates, or mostly those near the middle."""
    layers = np.linspace(2, _LAYERS - 3, sizes.swept_layers).round().astype(int)
    weights = np.exp(-effect * 12.0 * np.abs((layers + 1) / _LAYERS - 0.6))
    rows = grid(trait=names("t", sizes.traits), layer=layers, coefficient=[0.0, 2.0])
    chosen = dict(
        zip(
            names("t", sizes.traits),
            rng.choice(layers, sizes.traits, p=weights / weights.sum()),
            strict=True,
        )
    )
    is_chosen = (rows.layer == rows.trait.map(chosen)) & (rows.coefficient > 0)
    return {
        "sweep_effects": rows.assign(judge=JUDGES[0], chosen=is_chosen),
        "directions": pd.DataFrame({"layer": range(_LAYERS)}),
    }


def comparison_tables(sizes: Sizes, effect: float, rng: np.random.Generator) -> Frames:
    """Variants of vectors on the same questions, and what steering does to other traits."""
    traits = names("t", min(sizes.traits, _MOST_COMPARED))
    questions = names("q", sizes.compared_questions)
    rows = grid(
        trait=traits,
        arm=[NONE, VARIANT, "prompt_mean", "last_prompt"],
        measured=traits,
        unit=questions,
    )
    shape = (len(traits), len(traits), len(questions))
    base = 40.0 + rng.normal(0, OF_QUESTION, shape)
    place = codes(rows.trait), codes(rows.measured), codes(rows.unit)
    own = (rows.trait == rows.measured).to_numpy()
    # Without an effect all variants steer alike, and steer other traits as much as their own.
    means = {NONE: 0.0, VARIANT: 25.0, "prompt_mean": 25.0 - 12.0 * effect}
    moved = rows.arm.map(means | {"last_prompt": means["prompt_mean"]}).to_numpy(float)
    moved = np.where(own | (effect == 0), moved, 0.2 * moved)
    sides = np.where(own, 1.0, rng.choice([1.0, -1.0], (len(traits), len(traits)))[place[:2]])
    rows["score"] = np.clip(base[place] + moved * sides + rng.normal(0, 15.0, len(rows)), 0, 100)
    rows["n_unscored"] = 0
    return {
        "compared_scores": rows,
        "steering_comparison": pd.DataFrame(comparison_rows(rows[rows.arm.isin((NONE, VARIANT))])),
    }
