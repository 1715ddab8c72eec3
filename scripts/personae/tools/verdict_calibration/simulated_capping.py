"""Simulated capping: responses under every setting, what capping costs, and capability items."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from personae.science.capability import capability_changes
from personae.science.capping_floors import default_quantile
from personae.tools.verdict_calibration.simulated_grids import (
    JUDGES,
    MIDDLE,
    Frames,
    codes,
    grid,
    names,
)
from personae.workflow.claim_sizes import Sizes

_FLIPPED: Final = 0.12  # share of role scores that a judge puts on the wrong side of 3
_REDUCTION: Final = 0.6  # published share of harmful responses that capping removes
_PLAYED: Final = 0.75  # published: 65-88 %
_MARGIN: Final = 0.1  # loss of accuracy that the claims of no loss exclude
_LIKELIHOOD_MARGIN: Final = 0.2
_BY_CHANCE: Final = 0.05
"""Standard deviation of what a random direction changes in the share of played roles."""
_PERCENTILE: Final = 25.0


def capping_tables(sizes: Sizes, effect: float, rng: np.random.Generator) -> Frames:
    """Responses under every setting along the axis and random directions, judged twice.

    Caps cost nothing here, so that settings may be chosen; see `cost_tables`.
    """
    settings = _settings(sizes)
    chance = rng.normal(0, _BY_CHANCE, len(settings))
    meaningful = ((settings.direction == "axis") & (effect > 0)).to_numpy()
    cut = np.where(meaningful, effect * settings.strength, chance)
    cut = np.where(settings.direction == "none", 0.0, cut)
    roles = grid(suite=["roles"], subject=names("r", sizes.capped_roles),
                 question_id=names("q", sizes.capped_questions), turn=[0])  # fmt: skip
    talks = grid(
        suite=["jailbreak"], subject=names("c", sizes.conversations), turn=range(sizes.turns)
    )
    items = pd.concat([roles, talks.assign(question_id=talks.subject)], ignore_index=True)
    of_subject = rng.normal(0, 1.0, items.subject.nunique())[codes(items.subject)]
    of_question = rng.normal(0, 0.7, items.question_id.nunique())[codes(items.question_id)]
    logit = np.log(_PLAYED / (1 - _PLAYED)) + of_subject + of_question
    plays = (1 / (1 + np.exp(-logit)))[:, np.newaxis] * np.clip(1 - cut, 0.0, 1.0)
    played = rng.random(plays.shape) < plays
    rows = items.loc[items.index.repeat(len(settings))].reset_index(drop=True)
    for name in ("direction", "band", "percentile"):
        rows[name] = np.tile(settings[name].to_numpy(), len(items))
    rows["response_id"] = names("k", len(rows))
    return {
        "capped_responses": rows,
        "capped_scores": _judged(rows, played.reshape(-1), rng),
        "capping_costs": _costs(sizes, 1.0, settings, rng),
    }


def cost_tables(sizes: Sizes, effect: float, rng: np.random.Generator) -> Frames:
    """What capping costs: the margins of the claims without the effect, nothing with it."""
    return {
        "capping_costs": _costs(sizes, effect, _settings(sizes), rng),
        "capability_changes": _capability(sizes, effect, rng),
    }


def _settings(sizes: Sizes) -> pd.DataFrame:
    """No cap, then bands and percentiles along every direction; one band has a single layer.

    The others reduce alike: what an interval should cover must not depend on which of them a
    study's halves chose.
    """
    rows = [("none", "", np.nan, 0.0)]
    for direction in ("axis", *(f"random{i}" for i in range(sizes.capped_directions))):
        for i in range(sizes.settings):
            band = "20-20" if i % 3 == 2 else f"{i % 3}-{i % 3 + 4}"
            strength = _REDUCTION * (0.2 if band == "20-20" else 1.0)
            rows.append((direction, band, _PERCENTILE + 25.0 * (i // 3), strength))
    return pd.DataFrame(rows, columns=["direction", "band", "percentile", "strength"])


def _judged(rows: pd.DataFrame, played: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    parts = []
    for judge in JUDGES:
        seen = played != (rng.random(len(rows)) < _FLIPPED)
        fluency = np.clip(rng.normal(80, 12, len(rows)), 0, 100)
        for rubric, score in (("role_adherence", np.where(seen, 3.0, 1.0)), ("coherence", fluency)):
            part = pd.DataFrame({"response_id": rows.response_id, "score": score})
            parts.append(part.assign(judge=judge, rubric=rubric))
    return pd.concat(parts, ignore_index=True)


def _costs(
    sizes: Sizes, effect: float, settings: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Without an effect capping costs the margin of the claims; with it, nothing."""
    capped = (settings.direction != "none").to_numpy()
    closed = grid(setting=range(len(settings)), item=names("fact", sizes.closed))
    right = rng.random(sizes.closed) < 0.8
    lost = rng.random(len(closed)) < (1.0 - effect) * _MARGIN / 0.8
    closed["value"] = (right[codes(closed.item)] & ~(capped[closed.setting] & lost)).astype(float)
    prompts = [f"default-p{p}" for p in range(sizes.neutral_prompts)]
    neutral = grid(setting=range(len(settings)), p=prompts, q=names("q", sizes.neutral_questions))
    change = -_LIKELIHOOD_MARGIN * (1 - effect) + rng.normal(0, 0.02, len(neutral))
    change += rng.normal(0, 0.03, sizes.neutral_prompts)[codes(neutral.p)]
    change += rng.normal(0, 0.05, sizes.neutral_questions)[codes(neutral.q)]
    neutral["value"] = -1.2 + np.where(capped[neutral.setting], change, 0.0)
    neutral["item"] = neutral.p + "-" + neutral.q + "-s0"
    table = pd.concat(
        [
            closed.assign(measure="closed_accuracy"),
            neutral.assign(measure="neutral_log_likelihood"),
        ],
        ignore_index=True,
    )
    named = settings.loc[table.setting, ["direction", "band", "percentile"]].reset_index(drop=True)
    return pd.concat([table[["measure", "item", "value"]], named], axis=1)


def _capability(sizes: Sizes, effect: float, rng: np.random.Generator) -> pd.DataFrame:
    n = sizes.exact_items
    right = rng.random(n) < 0.6
    lost = rng.random(n) < (1.0 - effect) * _MARGIN / 0.6
    gained = rng.random(n) < 0.02 * effect
    after = np.where(right, ~lost, gained)
    items = {"kind": "arithmetic", "item": names("i", n)}
    before = pd.DataFrame(items | {"correct": right}).assign(direction="none", band="")
    capped = pd.DataFrame(items | {"correct": after}).assign(direction="axis", band="20-24")
    capped["percentile"] = _PERCENTILE
    return pd.DataFrame(capability_changes(pd.concat([before, capped], ignore_index=True)))


def floor_tables(sizes: Sizes, effect: float, rng: np.random.Generator) -> Frames:
    """Where the default lies in the pool: at its published quarter, or at its median."""
    asked = names("q", sizes.role_questions)
    pool = grid(role=names("r", sizes.roles), question=asked)
    default = grid(prompt=range(sizes.neutral_prompts), question=asked)
    of_question = rng.normal(0, 0.4, len(asked))
    own = rng.normal(0, 0.5, sizes.roles)[codes(pool.role)] + of_question[codes(pool.question)]
    theirs = (0.75 if effect else 0.0) + of_question[codes(default.question)]
    found = default_quantile(
        own + rng.normal(0, 1.0, len(pool)),
        theirs + rng.normal(0, 1.0, len(default)),
        pool.question.to_numpy(object),
        default.question.to_numpy(object),
    )
    row = {
        "direction": "axis",
        "pool": "roles_and_traits",
        "layer": MIDDLE,
        "n": len(pool),
        "n_questions": found.clusters,
        **found.interval.columns("default_quantile"),
    }
    return {"floors": pd.DataFrame([row])}
