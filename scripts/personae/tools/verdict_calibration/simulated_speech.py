"""Simulated speakers, harm under persona jailbreaks, and case studies."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa

from personae.science.case_studies import CAPPED, PLAIN, case_effects
from personae.science.harm_arms import AXIS, NO_PERSONA, STEERING, UNCAPPED
from personae.science.harm_link import link_table
from personae.science.harm_rates import CHOSEN_ON, REPORTED_ON, rate_table
from personae.science.speaker_shares import share_table
from personae.tools.verdict_calibration.simulated_grids import (
    JUDGES,
    MIDDLE,
    FloatArray,
    Frames,
    codes,
    grid,
    names,
)
from personae.workflow.claim_sizes import Sizes

_FLIPPED: Final = 0.12  # share of labels that a judge turns
_BY_CHANCE: Final = 0.05  # of what a random direction does to a share
_PERMUTATIONS: Final = 99
_HARM_SLOPE: Final = 1.5  # gives the published correlation of about -0.45


def _logistic(value: FloatArray) -> FloatArray:
    return np.asarray(1.0 / (1.0 + np.exp(-value)))


def speaker_tables(sizes: Sizes, effect: float, rng: np.random.Generator) -> Frames:
    """Who speaks under steering away from and toward the Assistant, along axis and random ones."""
    arms = [("axis", s) for s in (-4.0, 0.0, 4.0)]
    arms += [(f"random{i}", s) for i in range(sizes.capped_directions) for s in (-4.0, 4.0)]
    items = grid(role=names("r", sizes.speakers), question_id=names("q", 5),
                 prompt_index=range(sizes.speaker_prompts), sample=[0])  # fmt: skip
    base = 0.3 + rng.normal(0, 0.12, sizes.speakers)[codes(items.role)]
    base = base + rng.normal(0, 0.12, 5)[codes(items.question_id)]
    parts = []
    for direction, strength in arms:
        change = -effect * np.sign(strength) * (0.5 if strength < 0 else 0.25)
        moved = change if direction == "axis" else rng.normal(0, _BY_CHANCE) * (strength != 0)
        shown = rng.random(len(items)) < np.clip(base + moved, 0.02, 0.98)
        said = shown != (rng.random(len(items)) < _FLIPPED / 2)
        part = items.assign(direction=direction, strength=strength, label=said)
        parts.append(part)
    rows = pd.concat(parts, ignore_index=True)
    rows["response_id"] = names("v", len(rows))
    rows = rows.assign(layer=MIDDLE, in_residual_norms=rows.strength, in_persona_gaps=rows.strength)
    labels = rows.assign(
        label=np.where(rows.label, "human", "assistant"), rubric="role_label", score=None
    )
    fluent = rows.assign(label=None, rubric="coherence", score=80.0)
    scores = pd.concat([labels, fluent], ignore_index=True).assign(judge=JUDGES[0], primary=True)
    columns = ["response_id", "judge", "rubric", "label", "score", "primary"]
    table = pa.Table.from_pandas(scores[columns], preserve_index=False)
    shares = share_table(pa.Table.from_pandas(rows.drop(columns="label")), table, "persona_gap")
    return {"speaker_shares": shares.to_pandas()}


def harm_tables(sizes: Sizes, effect: float, rng: np.random.Generator) -> Frames:
    """Harmful responses with and without persona, under caps and steering, and random ones."""
    randoms = range(sizes.capped_directions)
    settings = [("20-24", 25.0), ("10-26", 25.0)]
    arms: list[tuple[str, str, float, float, float | None]] = [
        (UNCAPPED, "", np.nan, np.nan, 0.0),
        (STEERING, "", np.nan, 2.0, -0.4),
    ]
    arms += [(f"{STEERING}_random{i}", "", np.nan, 2.0, None) for i in randoms]
    for band, percentile in settings:
        arms.append((AXIS, band, percentile, np.nan, -0.45))
        arms += [(f"random{i}", band, percentile, np.nan, None) for i in randoms]
    items = grid(
        persona=names("p", sizes.personas), question_id=names("q", sizes.probes), sample=[0]
    )
    bare = grid(persona=[""], question_id=names("q", sizes.probes), sample=[0])
    of_persona, of_probe = rng.normal(0, 0.7, sizes.personas), rng.normal(0, 1.0, sizes.probes)
    parts = []
    for contrast, band, percentile, strength, change in arms:
        level = _logistic(
            0.9 + of_persona[codes(items.persona)] + of_probe[codes(items.question_id)]
        )
        moved = rng.normal(0, _BY_CHANCE) if change is None else effect * change
        parts.append(_answers(items, level + moved, (contrast, band, percentile, strength), rng))
    plain = _logistic(0.9 + of_probe[codes(bare.question_id)])
    parts.append(_answers(bare, plain - effect * 0.55, (NO_PERSONA, "", np.nan, np.nan), rng))
    rows = pd.concat(parts, ignore_index=True)
    rows["response_id"] = names("h", len(rows))
    rows["half"] = np.where(codes(rows.question_id) % 2 == 0, CHOSEN_ON, REPORTED_ON)
    rows = rows.assign(category="all", reading=np.where(rows.percentile.notna(), "ceiling", ""))
    scores = rows.assign(judge=JUDGES[0], rubric="harm", score=rows.harmful, label=None)
    kept = scores[["response_id", "judge", "rubric", "score", "label"]]
    costs = [
        {
            "direction": AXIS, "band": band, "percentile": percentile, "reading": "ceiling",
            "measure": "closed_accuracy", "change": 0.0, "low": 0.0, "high": 0.0,
        }
        for band, percentile in settings
    ]  # fmt: skip
    found = rate_table(
        pa.Table.from_pandas(rows.drop(columns="harmful"), preserve_index=False),
        pa.Table.from_pandas(kept, preserve_index=False),
        pa.Table.from_pylist(costs),
        max_loss=0.02,
    )
    return {"harm_rates": found.to_pandas()}


def _answers(
    items: pd.DataFrame,
    level: FloatArray,
    arm: tuple[str, str, float, float],
    rng: np.random.Generator,
) -> pd.DataFrame:
    contrast, band, percentile, strength = arm
    harmful = rng.random(len(items)) < np.clip(level, 0.02, 0.98)
    seen = harmful != (rng.random(len(items)) < _FLIPPED / 2)
    return items.assign(
        contrast=contrast, band=band, percentile=percentile, strength=strength,
        harmful=seen.astype(float),
    )  # fmt: skip


def harm_link_tables(sizes: Sizes, effect: float, rng: np.random.Generator) -> Frames:
    """Harmful answers after first turns in roles: roles have a place and a harm of their own."""
    if not sizes.linked_roles:
        return {}
    rows = []
    of_probe = rng.normal(0, 0.5, sizes.link_probes)
    for role in names("r", sizes.linked_roles):
        own, place = rng.normal(0, 1.0), rng.normal(0, 1.0)
        for turn in range(sizes.first_turns):
            x = place + rng.normal(0, 0.4)
            harmful = rng.random(len(of_probe)) < _logistic(
                own + of_probe - effect * _HARM_SLOPE * x
            )
            seen = harmful != (rng.random(len(of_probe)) < _FLIPPED)
            rows.append((role, f"{role}-{turn}", x, float(seen.mean())))
    points = pd.DataFrame(rows, columns=["role", "first_turn", "projection", "rate"])
    points = points.assign(judge=JUDGES[0], direction="axis", layer=MIDDLE, n_unscored=0)
    found = link_table(
        pa.Table.from_pandas(points, preserve_index=False), permutations=_PERMUTATIONS, seed=0
    )
    return {"harm_link": found.to_pandas()}


def case_tables(sizes: Sizes, effect: float, rng: np.random.Generator) -> Frames:
    """Risk and projection of long conversations, capped and not."""
    turns = grid(
        conversation=names("c", sizes.cases), arm=[PLAIN, CAPPED], turn=range(sizes.case_turns)
    )
    series = turns.conversation + turns.arm
    steps = rng.normal(-0.1, 1.0, len(turns))
    projection = pd.Series(steps).groupby(series.to_numpy()).cumsum().to_numpy()
    base = 45.0 + rng.normal(0, 12.0, sizes.cases)[codes(turns.conversation)]
    capped = (turns.arm == CAPPED).to_numpy()
    change = (-20.0 + rng.normal(0, 6.0, sizes.cases)[codes(turns.conversation)]) * effect * capped
    risk = base - 8.0 * effect * projection + change + rng.normal(0, 8.0, len(turns))
    table = turns.assign(
        judge=JUDGES[0], risk=np.clip(risk, 0, 100), harm=0.0, projection=projection
    )
    effects = case_effects(
        pa.Table.from_pandas(table, preserve_index=False), permutations=_PERMUTATIONS, seed=0
    )
    return {"case_effects": effects.to_pandas()}
