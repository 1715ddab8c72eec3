"""Tables of the traits and steering stages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from .basics import (
    HIDDEN,
    JUDGES,
    N_LAYERS,
    QUESTIONS,
    ROLES,
    TRAITS,
    Planted,
    rollout,
    score,
    table,
)


def trait_tables(plan: Planted) -> dict[str, pa.Table]:
    """Trait vectors, contrastive pairs and geometry."""
    rng = plan.rng("traits")
    result, cosines = {}, []
    along = dict(zip([*TRAITS, "assistant_axis"], (-0.5, -0.6, 0.3, 1.0), strict=True))
    for layer in range(N_LAYERS):
        for a, x in along.items():
            for b, y in along.items():
                value = 1.0 if a == b else plan.effect * x * y * (0.5 + layer / 16)
                cosines.append({"layer": layer, "left": a, "right": b, "cosine": value})
    result["traits/cosines"] = table("cosines", cosines)
    for trait in TRAITS:
        vectors = [
            {
                "trait": trait,
                "variant": variant,
                "layer": layer,
                "selection": "effective",
                "n_cells": 12,
                "norm": 2.0,
                "split_half": 0.3 + 0.5 * plan.effect,
                "split_half_low": 0.1 + 0.6 * plan.effect,
                "split_half_high": 0.4 + 0.5 * plan.effect,
                "split_half_p": 0.01 if plan.effect else 0.3,
                "split_half_folds": len(QUESTIONS),
                "vector": rng.normal(size=HIDDEN).astype("<f4").tobytes(),
            }
            for variant in ("response_mean", "prompt_mean", "last_prompt")
            for layer in range(N_LAYERS)
        ]
        result[f"traits/{trait}/vectors"] = table("trait_vectors", vectors)
        pairs = [
            {
                "trait": trait,
                "pair": pair,
                "question_id": question,
                "positive": 20 + 55 * plan.effect + rng.normal(0, 5),
                "negative": 20 + rng.normal(0, 5),
                "positive_coherence": 80.0,
                "negative_coherence": 85.0,
                "n_scored": 2,
                "n_unscored": 0,
                "filter": "rows",
                "n_kept": 1,
                "effective": bool(plan.effect),
            }
            for pair in range(5)
            for question in QUESTIONS[:4]
        ]
        result[f"traits/{trait}/pairs"] = table("trait_pairs", pairs)
    return result


def contrast_tables(plan: Planted) -> dict[str, pa.Table]:
    """Responses under opposed instructions, and in every role; few, as only their count is read."""
    result = {}
    for trait in TRAITS:
        for polarity in ("positive", "negative"):
            rows = [
                rollout(
                    f"{trait}-{polarity}-{q}",
                    q,
                    f"{polarity} answer",
                    trait=trait,
                    polarity=polarity,
                    pair=0,
                    sample=0,
                )
                for q in QUESTIONS[:4]
            ]
            result[f"traits/{trait}/{polarity}/responses"] = table("trait_responses", rows)
    for role in [*ROLES, "default"]:
        rows = [
            rollout(
                f"{role}-{q}",
                q,
                f"{role} answer",
                role=role,
                prompt_index=0,
                split="heldout",
                sample=0,
            )
            for q in QUESTIONS
        ]
        result[f"roles/{role}/responses"] = table("role_responses", rows)
        # The second judge differs by two levels on the first question alone.
        levels = [
            score(row["response_id"], "role_adherence", role, 3.0 - 2 * (i + j == 1), judge)
            for i, row in enumerate(rows)
            for j, judge in enumerate(JUDGES)
            if i == 0 or j == 0
        ]
        result[f"roles/{role}/scores"] = table("scores", levels)
    return result


def steering_tables(plan: Planted) -> dict[str, pa.Table]:
    """Responses, scores and effects of both sweeps, one response per question and arm."""
    result = {}
    for trait in TRAITS:
        sweep = [("trait", 2, 0.0)] + [
            ("trait", layer, c) for layer in (2, 4, 6) for c in (1.0, 2.0)
        ]
        alphas = (-2.0, -1.0, 0.0, 1.0, 2.0, 4.0)
        alpha = [("trait", 4, c) for c in alphas] + [("random0", 4, c) for c in alphas if c]
        for stage, settings in (("layer_sweep", sweep), ("alpha_sweep", alpha)):
            folder = f"steering/{trait}/{stage}"
            rows, scores, effects = _steered(plan, trait, settings, mark=stage == "layer_sweep")
            result[f"{folder}/responses"] = table("steered_responses", rows)
            result[f"{folder}/scores"] = table("scores", scores)
            result[f"{folder}/effects"] = table("steering_effects", effects)
    return result


def _steered(
    plan: Planted, trait: str, settings: list[tuple[str, int, float]], *, mark: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    rng = plan.rng(trait)
    strength = 0.1 if trait == "sycophantic" else 1.0
    rows, scores, effects = [], [], []
    for direction, layer, c in settings:
        best = 1 - abs(layer - 4) / 8
        gain = plan.effect * strength * best * (direction == "trait") * np.clip(18 * c, -20, 50)
        base = {"trait": 30 + gain, "coherence": 85 - 3.2 * c**2}
        values = {k: np.clip(v + rng.normal(0, 6, len(QUESTIONS)), 0, 100) for k, v in base.items()}
        for i, question in enumerate(QUESTIONS):
            rid = f"{trait}-{direction}-l{layer}-c{c:g}-{question}-s0"
            text = f"{trait} answer along {direction} at {c:g} & <b>more</b>"
            rows.append(
                rollout(
                    rid,
                    question,
                    text,
                    system="none",
                    trait=trait,
                    direction=direction,
                    layer=layer,
                    coefficient=c,
                    positions="response",
                    sample=0,
                )
            )
            scores += [
                score(
                    rid, rubric, trait if rubric == "trait" else "", float(values[rubric][i]), judge
                )
                for rubric in values
                for judge in JUDGES
            ]
        effects += [
            {
                "trait": trait,
                "judge": judge,
                "direction": direction,
                "layer": layer,
                "coefficient": c,
                "positions": "response",
                "rubric": rubric,
                "n": len(QUESTIONS),
                "n_unscored": 0,
                "mean": float(values[rubric].mean()),
                "low": float(values[rubric].mean() - 4),
                "high": float(values[rubric].mean() + 4),
                "if_lowest": float(values[rubric].mean()),
                "if_highest": float(values[rubric].mean()),
                "chosen": mark and (layer, c) == (4, 2.0) and judge == JUDGES[0],
            }
            for rubric in values
            for judge in JUDGES
        ]
    return rows, scores, effects
