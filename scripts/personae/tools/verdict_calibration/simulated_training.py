"""Simulated fine-tuning: shifts and scores of adapters, defences, and the screening of data."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from personae.science.finetuning_shift import PLAIN, TRAIT, correlation_rows
from personae.science.screening import NORMAL, summary_rows
from personae.science.training_defences import STEERED, DefenceArm, defence_rows
from personae.tools.verdict_calibration.simulated_grids import (
    JUDGES,
    OF_QUESTION,
    Frames,
    codes,
    grid,
    names,
)
from personae.workflow.claim_sizes import Sizes

_SHUFFLED: Final = 10
_PREVENTED: Final = 20.0
_SAVED: Final = 15.0


def shift_tables(sizes: Sizes, effect: float, rng: np.random.Generator) -> Frames:
    """Shift and change of the trait score; adapters differ in both, related or not."""
    adapters, traits = names("a", sizes.adapters), names("t", max(sizes.tuned_traits, 2))
    rows = grid(adapter=adapters, trait=traits)
    a = codes(rows.adapter)
    moved = rng.normal(0, 1.0, len(adapters))[a] + rng.normal(0, 0.5, len(rows))
    other = rng.normal(0, 1.0, len(adapters))[a] + rng.normal(0, 0.5, len(rows))
    rows["change"] = 10.0 * np.where(effect > 0, moved + 0.5 * other, other)
    rows = rows.assign(arm=PLAIN, trained=traits[0])
    parts = [rows.assign(vector=TRAIT, shift=moved)]
    for i in range(_SHUFFLED):
        parts.append(rows.assign(vector=f"shuffled{i:02d}", shift=rng.normal(0, 1.0, len(rows))))
    table = pd.concat(parts, ignore_index=True)
    found = correlation_rows(table, int(rng.integers(2**31)))
    return {"finetuning_correlations": pd.DataFrame(found)}


def defence_tables(sizes: Sizes, effect: float, rng: np.random.Generator) -> Frames:
    """Preventative steering, plain training, and steering afterwards, on the same questions."""
    n, rows = sizes.tuned_questions, []
    for trained in names("t", sizes.tuned_traits):
        base, fluent = 50.0 + rng.normal(0, OF_QUESTION, n), 80.0 + rng.normal(0, 8.0, n)

        def arm(name: str, c: float, trait: float, loss: float) -> DefenceArm:
            scores = np.clip(base + trait + rng.normal(0, 10.0, n), 0, 100)  # noqa: B023
            coherence = np.clip(fluent - loss + rng.normal(0, 8.0, n), 0, 100)  # noqa: B023
            return DefenceArm(name, c, scores, coherence, rng.random(12).round(), 0)

        arms = [
            arm(PLAIN, 0.0, 20.0, 0.0),
            arm(STEERED, -1.0, 5.0, 10.0),
            arm(STEERED, -2.0, -10.0, 30.0),
            arm("preventative", 0.0, 20.0 - effect * _PREVENTED, 13.0 * effect - _SAVED * effect),
        ]
        rows += defence_rows(trained, arms, JUDGES[0])
    return {"finetuning_defences": pd.DataFrame(rows)}


def screening_tables(sizes: Sizes, effect: float, rng: np.random.Generator) -> Frames:
    """Rows with a trait and normal rows, answers to the same prompts."""
    parts, datasets = [], {}
    # Without an effect the AUC is 0.7, the bound of the claim; with it 0.95.
    apart = 2.33 if effect else 0.742
    for trained in names("t", sizes.tuned_traits):
        prompts = names("p", sizes.screened_rows)
        own = rng.normal(0, 1.0, len(prompts))
        for level, pull in ((NORMAL, 0.0), ("strong", apart)):
            name = f"{trained}_{level}"
            datasets[name] = (trained, level)
            training = own + pull + rng.normal(0, 1.0, len(prompts))
            part = pd.DataFrame({"row": range(len(prompts)), "prompt_id": prompts, "own": own})
            parts.append(
                part.assign(dataset=name, trait=trained, layer=0, own_first=own, training=training)
            )
    rows = summary_rows(pd.concat(parts, ignore_index=True), datasets, {}, 95.0)
    return {"screening": pd.DataFrame(rows)}
