"""Tables of the capping, drift and judging stages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from personae.personas.library.capability_items import KINDS
from personae.science.capability import capability_changes

from .basics import (
    BANDS,
    DOMAINS,
    JUDGES,
    MIDDLE,
    N_LAYERS,
    PERCENTILES,
    QUESTIONS,
    ROLES,
    TRAITS,
    Planted,
    rollout,
    score,
    table,
)

RANDOM = [f"random{i}" for i in range(20)]
"""Random directions of turns, as many as the claims about drift need."""


def capping_tables(plan: Planted) -> dict[str, pa.Table]:
    """Floors, responses with scores, costs and the trade-off over bands and percentiles."""
    floors = [
        {
            "direction": "axis",
            "pool": pool,
            "reading": reading,
            "orientation": "floor on +axis (toward the Assistant)",
            "percentile": p,
            "layer": layer,
            "floor": -1.0 + p / 50,
            "n": 400,
            "default_mean": 3.0,
            "default_quantile": 0.73 if plan.effect else 0.1,
            "default_quantile_low": 0.66 if plan.effect else 0.05,
            "default_quantile_high": 0.79 if plan.effect else 0.17,
            "n_questions": len(QUESTIONS),
        }
        for pool in ("roles_and_traits", "roles", "default")
        for reading in ("floor", "ceiling")
        for p in PERCENTILES
        for layer in range(N_LAYERS)
    ]
    arms: list[tuple[str, str, float | None]] = [("none", "", None)]
    arms += [(d, b, p) for d in ("axis", "random0") for b in BANDS for p in PERCENTILES]
    rows, scores, tradeoff, costs = [], [], [], []
    rng = plan.rng("capping")
    for direction, band, percentile in arms:
        p = percentile or 0.0
        wide = 1.0 if band == "2-5" else 0.45
        cut = plan.effect * wide * p / 100 * (direction == "axis")
        for suite, full in (("roles", 2.75), ("jailbreak", 2.75)):
            for role in ROLES[6:12]:
                for question in QUESTIONS[:6]:
                    rid = f"{suite}-{role}-{question}-{direction}-{band}-{p:g}"
                    rows.append(
                        rollout(
                            rid,
                            question,
                            f"{role}: {direction} {band} {p:g}",
                            suite=suite,
                            subject=role,
                            turn=0,
                            direction=direction,
                            band=band,
                            percentile=percentile,
                        )
                    )
                    value = float(np.clip(full * (1 - cut) + rng.normal(0, 0.15), 0, 3))
                    for judge in JUDGES:
                        scores.append(score(rid, "role_adherence", role, value, judge))
                        fluent = float(85 + rng.normal(0, 2))
                        scores.append(score(rid, "coherence", "", fluent, judge))
            for measure, uncapped in (
                ("role_adherence", full),
                ("played", full / 3),
                ("coherence", 85.0),
            ):
                change = -uncapped * cut * (measure != "coherence")
                tradeoff += [
                    _arm(
                        direction,
                        band,
                        percentile,
                        judge,
                        f"{suite}_{measure}",
                        uncapped + change,
                        change,
                        0.1 * uncapped,
                    )
                    for judge in JUDGES
                ]
        dearer = (0.25 if plan.effect else 0.02) * wide * p / 100
        likelihood = -dearer * (1.0 if direction == "axis" else 1.6)
        costs += _costs(rng, likelihood, direction, band, percentile)
        tradeoff.append(
            _arm(
                direction,
                band,
                percentile,
                "",
                "neutral_log_likelihood",
                -1.2 + likelihood,
                likelihood,
                0.03,
            )
        )
        tradeoff.append(
            _arm(
                direction,
                band,
                percentile,
                "",
                "closed_accuracy",
                0.5 + likelihood / 8,
                likelihood / 8,
                0.06,
            )
        )
    return {
        "capping/floors": table("floors", floors),
        "capping/responses": table("capped_responses", rows),
        "capping/scores": table("scores", scores),
        "capping/tradeoff": table("capping_tradeoff", tradeoff),
        "capping/costs": table("capping_costs", costs),
        "capping/capability_changes": table("capability_changes", _capability(plan)),
    }


def _capability(plan: Planted) -> list[dict[str, Any]]:
    """Of 160 items 80 are answered correctly; a cap loses none, or, without effect, 40 of them."""
    lost = 0 if plan.effect else 40
    answers = [
        {
            "direction": direction, "band": "" if direction == "none" else "14-16",
            "percentile": None if direction == "none" else 25.0, "kind": KINDS[i % len(KINDS)],
            "item": f"item{i}", "correct": i + (0 if direction == "none" else -lost) >= 80,
        }
        for direction in ("none", "axis", "random0")
        for i in range(160)
    ]  # fmt: skip
    return capability_changes(pd.DataFrame(answers))


def _costs(
    rng: np.random.Generator, change: float, direction: str, band: str, percentile: float | None
) -> list[dict[str, Any]]:
    """Closed answers that stay as they are, and likelihoods that change by ``change``."""
    values = {("closed_accuracy", f"fact{i}"): float(i % 2) for i in range(40)}
    for prompt in range(5):
        for question in QUESTIONS[:6]:
            item = f"default-p{prompt}-{question}-s0"
            value = -1.2 + change + rng.normal(0, 0.01)
            values["neutral_log_likelihood", item] = float(value)
    arm = {"direction": direction, "band": band, "percentile": percentile, "n_tokens": 20}
    return [
        {**arm, "measure": measure, "item": item, "value": value}
        for (measure, item), value in values.items()
    ]


def _arm(
    direction: str,
    band: str,
    percentile: float | None,
    judge: str,
    measure: str,
    value: float,
    change: float,
    half: float,
) -> dict[str, Any]:
    return {
        "direction": direction,
        "band": band,
        "percentile": percentile,
        "judge": judge,
        "measure": measure,
        "n": 24,
        "n_unscored": 0,
        "value": value,
        "change": change,
        "low": change - half,
        "high": change + half,
    }


def drift_tables(plan: Planted) -> dict[str, pa.Table]:
    """Projections and replays of one calm and one drifting conversation per domain."""
    rng = plan.rng("drift")
    rows, replays, summary = [], [], []
    for arm in ("shipped", "replayed", "capped"):
        for kind in ("calm", "drifting"):
            means = []
            for domain in DOMAINS:
                for turn in range(5):
                    slope = plan.effect * (kind == "drifting") * (0.25 if arm == "capped" else 0.8)
                    value = 3.0 - slope * turn + rng.normal(0, 0.2)
                    means.append((turn, value))
                    place = {
                        "conversation": f"{domain}_{kind}",
                        "domain": domain,
                        "kind": kind,
                        "arm": arm,
                    }
                    rows += [
                        {
                            **place,
                            "turn": turn,
                            "direction": direction,
                            "layer": layer,
                            "projection": value if direction == "axis" else float(rng.normal()),
                            "n_tokens": 20,
                        }
                        for direction in ("axis", *RANDOM)
                        for layer in (MIDDLE - 1, MIDDLE)
                    ]
                    if arm != "shipped":
                        rid = f"{domain}_{kind}-{arm}-t{turn}"
                        row = rollout(rid, "q", f"{arm} reply {turn}", **place, turn=turn)
                        replays.append({k: v for k, v in row.items() if k != "question_id"})
            for turn in range(5):
                values = [v for t, v in means if t == turn]
                summary += [
                    {
                        "arm": arm,
                        "kind": kind,
                        "domain": "*",
                        "turn": turn,
                        "layer": MIDDLE,
                        "n": len(values),
                        "mean": np.mean(values),
                        "low": np.min(values),
                        "high": np.max(values),
                    }
                ]
    if plan.effect:
        added = _simulated(rng)
        rows += added[0]
        summary += added[1]
    return {
        "drift/projections": table("drift_projections", rows),
        "drift/summary": table("drift_summary", summary),
        "drift/replays": table("replays", replays),
        "drift/predictions": _predictions(plan),
    }


def _predictions(plan: Planted) -> pa.Table:
    """Prediction of turns from user messages: none without an effect."""
    rows = [
        {
            "arm": arm,
            "target": target,
            "layer": MIDDLE,
            "n": 100,
            "n_conversations": 24,
            "r2": size * plan.effect - 0.02,
            "r2_low": size * plan.effect - 0.08,
            "r2_high": size * plan.effect + 0.03,
            "null_p95": 0.02,
            "p_value": 0.005 if plan.effect else 0.6,
        }
        for arm in ("shipped", "replayed", "capped")
        for target, size in (("projection", 0.6), ("change", 0.2))
    ]
    return table("drift_predictions", rows)


def _simulated(rng: np.random.Generator) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Projections and summary of a dozen simulated conversations a domain; therapy drifts most."""
    rows, summary = [], []
    place = {"kind": "simulated", "arm": "simulated"}
    for domain in DOMAINS:
        fall = {"therapy": 0.5, "philosophy": 0.3}.get(domain, 0.05)
        for turn in range(8):
            values = 3.0 - fall * turn + rng.normal(0, 0.1, 12)
            rows += [
                {
                    **place,
                    "conversation": f"{domain}-user-topic{i}",
                    "domain": domain,
                    "turn": turn,
                    "direction": direction,
                    "layer": layer,
                    "projection": value,
                    "n_tokens": 20,
                }
                for i, value in enumerate(values)
                for direction in ("axis", "random0")
                for layer in (MIDDLE - 1, MIDDLE)
            ]
            bounds = {"mean": values.mean(), "low": values.min(), "high": values.max()}
            summary += [
                {**place, **bounds, "domain": name, "turn": turn, "layer": MIDDLE, "n": 12}
                for name in (domain, *(["*"] if domain == DOMAINS[0] else []))
            ]
    return rows, summary


def judging_tables(plan: Planted) -> dict[str, pa.Table]:
    """Agreement of two judges with the labels, and confusion of role scores."""
    rng = plan.rng("judging")
    plain = ("role_adherence", "coherence", "role_label", "harm", "delusion_risk")
    targets = [("trait", t) for t in (*TRAITS, "*")] + [(rubric, "*") for rubric in plain]
    agreement = []
    for judge in JUDGES:
        for rubric, target in targets:
            auc = 0.92 + rng.normal(0, 0.01)
            agreement.append(
                {
                    "judge": judge,
                    "rubric": rubric,
                    "target": target,
                    "n": 24,
                    "n_unscored": 0,
                    "auc": auc,
                    "auc_low": auc - 0.1,
                    "auc_high": min(auc + 0.08, 1.0),
                    "slope": 0.9,
                    "slope_low": 0.8,
                    "slope_high": 1.0,
                    "false_high": 0.1,
                    "false_high_low": 0.04,
                    "false_high_high": 0.2,
                    "spearman": 0.7,
                    "spearman_low": 0.5,
                    "spearman_high": 0.8,
                    "kappa": 0.6,
                    "kappa_low": 0.4,
                    "kappa_high": 0.7,
                    "accuracy": 0.85,
                    "accuracy_if_lowest": 0.82,
                    "accuracy_if_highest": 0.88,
                }
            )
    confusion = [
        {
            "judge": judge,
            "against": "the labels",
            "arm": "labelled_set",
            "rubric": rubric,
            "target": "*",
            "label": a,
            "predicted": b,
            "n": 12 if a == b else 3 if abs(i - j) == 1 else 0,
        }
        for judge in JUDGES
        for rubric, levels in (("role_adherence", "0123"), ("trait", ("high", "low")))
        for i, a in enumerate(levels)
        for j, b in enumerate(levels)
    ]
    return {
        "judging/agreement": table("agreement", agreement),
        "judging/confusion": table("confusion", confusion),
        **more_judging_tables(),
    }


def more_judging_tables() -> dict[str, pa.Table]:
    """Agreement of judges with each other, their biases, and what they left unscored."""
    first, second = JUDGES
    pair = {"judge": first, "other": second, "rubric": "trait", "n": 20, "n_unscored": 4}
    found = {name: 0.5 for name in ("auc", "auc_other", "spearman", "kappa")}
    bounds = {
        f"{name}_{end}": 0.5 + s for name in found for end, s in (("low", -0.2), ("high", 0.2))
    }
    bias = [
        {"judge": j, "rubric": "trait", "bias": "length", "n": 20, "value": 0.1, "low": -0.1,
         "high": 0.3}
        for j in JUDGES
    ]  # fmt: skip
    summary = [
        {"judge": first, "rubric": "trait", "target": trait, "arm": "alpha_sweep",
         "mode": "offline", "n": 30, "n_unscored": i, "reasons": f"empty_response {i}" if i else "",
         "mean": 40.0 + i, "if_lowest": 38.0, "if_highest": 44.0}
        for i, trait in enumerate(TRAITS)
    ]  # fmt: skip
    between = [
        {"judge": first, "against": second, "arm": "alpha_sweep", "rubric": "trait", "target": "*",
         "label": a, "predicted": b, "n": n}
        for a, b, n in (("high", "high", 71), ("high", "low", 72), ("low", "unscored", 73))
    ]  # fmt: skip
    return {
        "judging/judge_pairs": table(
            "judge_pairs", [{**pair, "arm": "labelled_set", **found, **bounds}]
        ),
        "judging/study_pairs": table(
            "judge_pairs", [{**pair, "arm": "alpha_sweep", **found, **bounds, "n": 1234}]
        ),
        "judging/study_confusion": table("confusion", between),
        "judging/judge_bias": table("judge_bias", bias),
        "judging/score_summary": table("score_summary", summary),
    }
