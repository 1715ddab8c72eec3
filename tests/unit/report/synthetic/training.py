"""Tables of fine-tuning and data screening."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from personae.data import tables
from personae.science.chosen_vectors import ChosenVector
from personae.science.finetuning_shift import SHUFFLES, correlation_rows, mean_by_dataset
from personae.science.layer_choice import SweptLayers, choice_rows
from personae.science.resampling import Bootstrap
from personae.science.screening import summary_rows
from personae.science.steering_comparison import comparison_rows
from personae.science.token_reading import token_rows
from personae.science.training_defences import DefenceArm, defence_rows
from personae.science.trait_geometry import pair_rows, position_rows, random_contrasts

from .basics import JUDGES, MIDDLE, QUESTIONS, TRAITS, Planted

PLAN = Bootstrap(200, 1)
LEVELS = {"normal": 0.0, "mild": 1.2, "strong": 2.0}


def training_tables(plan: Planted) -> dict[str, pa.Table]:
    """Shifts that follow the data's level and changes that follow shifts, when planted."""
    shifts = _shifts(plan)
    frame = shifts.to_pandas()
    defences = [row for trait in TRAITS for row in _defences(plan, trait)]
    return {
        "finetuning/shifts": shifts,
        "finetuning/correlations": tables.from_rows(
            correlation_rows(frame, 1), "finetuning_correlations"
        ),
        "finetuning/defences": tables.from_rows(defences, "finetuning_defences"),
        **_comparison(plan),
        **_geometry(plan),
        **{f"steering/{trait}/layer_sweep/choice": _choice(plan, trait) for trait in TRAITS},
        "reading/tokens": tables.from_rows(_tokens(plan), "vector_tokens"),
        "reading/sae.features": tables.from_rows(_features(plan), "vector_features"),
        "screening/summary": tables.from_rows(_screening(plan, frame), "screening"),
    }


def _shifts(plan: Planted) -> pa.Table:
    rng = plan.rng("finetuning")
    rows = []
    for trained in TRAITS:
        for level, size in LEVELS.items():
            for trait in TRAITS:
                true = size * plan.effect * (trait == trained)
                change = 15 * true + rng.normal(0, 4)
                for index in range(SHUFFLES + 1):
                    shift = rng.normal(0, 0.2) + (true if index == 0 else 0.0)
                    rows.append(
                        {
                            "adapter": f"{trained}_{level}_plain",
                            "trained": trained,
                            "level": level,
                            "arm": "plain",
                            "trait": trait,
                            "layer": 4,
                            "vector": f"shuffled{index - 1:02d}" if index else "trait",
                            "judge": JUDGES[0],
                            "n": len(QUESTIONS),
                            "n_unscored": 0,
                            "shift": shift,
                            "shift_low": shift - 0.1,
                            "shift_high": shift + 0.1,
                            "score_before": 20.0,
                            "score_after": 20.0 + change,
                            "change": change,
                            "change_low": change - 5,
                            "change_high": change + 5,
                        }
                    )
    return tables.from_rows(rows, "finetuning_shifts")


def _defences(plan: Planted, trained: str) -> list[dict[str, object]]:
    rng = plan.rng(f"defences {trained}")

    def arm(
        name: str, coefficient: float, trait: float, coherence: float, right: float
    ) -> DefenceArm:
        noise = rng.normal(0, 2, (2, len(QUESTIONS)))
        return DefenceArm(
            name,
            coefficient,
            trait + noise[0],
            coherence + noise[1],
            (np.arange(20) < 20 * right).astype(float),
            0,
        )

    # Steering afterwards costs a point of coherence for each point of the trait.
    held = 70 - 30 * plan.effect
    gain = 25 * plan.effect - 10
    arms = [
        arm("base", 0.0, 20, 85, 0.8),
        arm("plain", 0.0, 70, 85, 0.8),
        arm("steered", -1.0, 50, 65, 0.6),
        arm("steered", -2.0, 30, 45, 0.4),
        arm("preventative", 0.0, held, held + 15 + gain, 0.7),
    ]
    return defence_rows(trained, arms, JUDGES[0])


def _screening(plan: Planted, shifts: pd.DataFrame) -> list[dict[str, object]]:
    rng = plan.rng("screening")
    rows = [
        {
            "dataset": f"{trained}_{level}",
            "row": row,
            "prompt_id": f"{trained}{row}",
            "trait": trait,
            "layer": 4,
            "training": size * plan.effect * (trait == trained) + rng.normal(0, 0.4),
            "own": 0.0,
            "own_first": rng.normal(0, 0.1),
            "n_own": 4,
        }
        for trained in TRAITS
        for level, size in LEVELS.items()
        for row in range(24)
        for trait in TRAITS
    ]
    datasets = {f"{trait}_{level}": (trait, level) for trait in TRAITS for level in LEVELS}
    return summary_rows(pd.DataFrame(rows), datasets, mean_by_dataset(shifts), 95)


def _tokens(plan: Planted) -> list[dict[str, object]]:
    """Read a vector whose largest coordinates are its words, through the identity as a head."""
    words = ["rose", "moon", "arr", "$\\n", "sea", "ship", "yes", "no", "a", "b", "c", "d"]
    rng = plan.rng("tokens")
    flat = rng.normal(0, 1, (len(TRAITS), len(words))).astype(np.float32)
    directions = {
        trait: ChosenVector(4, flat[i] + 9 * plan.effect * (np.arange(len(words)) == i))
        for i, trait in enumerate(TRAITS)
    }
    return token_rows(directions, np.asarray, words.__getitem__, 5, seed=1)


def _features(plan: Planted) -> list[dict[str, object]]:
    """Features of an autoencoder: both ways find the same ones, or any."""
    rng = plan.rng("features")
    rows = []
    for i, trait in enumerate(TRAITS):
        for by, top in (("cosine", 0.6), ("activation", 2.0)):
            for side in ("toward", "away"):
                own = 20 * i + np.arange(5)
                chosen = own if plan.effect else rng.choice(200, 5, replace=False)
                rows += [
                    {"autoencoder": "sae", "trait": trait, "layer": MIDDLE, "by": by, "side": side}
                    | {"rank": rank, "feature": int(feature), "name": f"words of {trait}"}
                    | {"value": top / rank, "null_p95": top / 2.5}
                    for rank, feature in enumerate(chosen, 1)
                ]
    return rows


def _comparison(plan: Planted) -> dict[str, pa.Table]:
    """Steering moves the steered trait by 30 points, prompt variants by half, others by nothing."""
    rng = plan.rng("comparison")
    moved = {"none": 0.0, "response_mean": 30.0, "prompt_mean": 15.0, "last_prompt": 12.0,
             "at_prompt": 5.0, "at_all": 32.0, "all_layers": 25.0, "ablate": -10.0,
             "random00": 0.0, "random01": 0.0}  # fmt: skip
    rows = []
    for trait in TRAITS:
        for arm, size in moved.items():
            for measured in (*TRAITS, "coherence", "closed_accuracy"):
                if measured not in (trait, "coherence") and arm not in ("none", "response_mean"):
                    continue
                for unit in QUESTIONS:
                    start = 0.8 if measured == "closed_accuracy" else 40.0
                    noise = 0.0 if measured == "closed_accuracy" else rng.normal(0, 2)
                    effect = size * plan.effect * (measured == trait)
                    rows.append(
                        {
                            "trait": trait,
                            "arm": arm,
                            "measured": measured,
                            "unit": unit,
                            "score": start + effect + noise,
                            "n_unscored": 0,
                        }
                    )
    scored = tables.from_rows(rows, "compared_scores")
    return {
        "steering/compared_scores": scored,
        "steering/comparison": tables.from_rows(
            comparison_rows(scored.to_pandas()), "steering_comparison"
        ),
    }


def _choice(plan: Planted, trait: str) -> pa.Table:
    """Layer 4 wins clearly when an effect is planted, and by chance otherwise."""
    rng = plan.rng(f"choice {trait}")
    layers = np.array([2, 4, 6])
    gains = rng.normal(0, 5, (3, len(QUESTIONS))) + 30 * plan.effect * np.array([[0], [1], [0.4]])
    swept = SweptLayers(layers, np.full(3, 2.0), gains, np.full(gains.shape, 80.0), list(QUESTIONS))
    selectors = pd.DataFrame(
        {
            "layer": layers,
            "dose_per_coefficient": [0.1, 0.15, 0.2],
            "separation_auc": [0.7, 0.9, 0.8],
            "norm_ratio": [0.1, 0.15, 0.2],
            "logit_effect": [0.1, 0.4, 0.3],
        }
    )
    return tables.from_rows(choice_rows(trait, swept, selectors, 50, PLAN), "layer_choices")


def _geometry(plan: Planted) -> dict[str, pa.Table]:
    """Traits among random roles."""
    rng = plan.rng("geometry")
    roles = rng.normal(size=(12, 16)) * np.where(np.arange(16) < 3, 4.0, 1.0)
    contrasts = random_contrasts(roles, 200, 1)
    vectors = {trait: rng.normal(size=16) for trait in TRAITS}
    positions = position_rows(vectors, rng.normal(size=16), roles, contrasts, 4)
    return {
        "traits/pair_cosines": tables.from_rows(
            pair_rows(vectors, contrasts, 4), "trait_pair_cosines"
        ),
        "traits/positions": tables.from_rows(positions, "trait_positions"),
    }
