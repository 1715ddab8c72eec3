"""Tables of the axis stage: directions, persona space, separation."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from .basics import HIDDEN, MIDDLE, N_LAYERS, QUESTIONS, ROLES, Planted, table


def axis_tables(plan: Planted) -> dict[str, pa.Table]:
    """The axis with a random direction, both with their integrity."""
    rng = plan.rng("axis")
    rows = [
        {
            "direction": direction,
            "layer": layer,
            "norm": 3.0,
            "residual_norm": 30.0,
            "n_roles": len(ROLES),
            "n_default": 32,
            "integrity": 1.0 if direction == "axis" else None,
            "vector": rng.normal(size=HIDDEN).astype("<f4").tobytes(),
        }
        for direction in ("axis", "random0")
        for layer in range(N_LAYERS)
    ]
    vectors = [
        {
            "role": role,
            "kind": kind,
            "layer": MIDDLE,
            "n": 20,
            "n_unscored": 0,
            "vector": rng.normal(size=HIDDEN).astype("<f4").tobytes(),
        }
        for role, kind in [
            *((r, "fully" if plan.effect else "somewhat") for r in ROLES),
            ("default", "default"),
        ]
    ]
    return {
        "axis/directions": table("directions", rows),
        "axis/role_vectors": table("role_vectors", vectors),
    }


def space_tables(plan: Planted) -> dict[str, pa.Table]:
    """Persona space: PC 1 runs from persona to Assistant when the effect is planted."""
    rng = plan.rng("space")
    layers, components, coordinates, cosines = [], [], [], []
    truth = np.linspace(6, -6, len(ROLES))
    for layer in range(N_LAYERS):
        for scaling in ("centred", "z_scored"):
            spread = 0.45 if scaling == "centred" else 0.7
            ratios = np.exp(-spread * np.arange(len(ROLES) - 1)) if plan.effect else np.ones(11)
            ratios = ratios / ratios.sum()
            needed = int((np.cumsum(ratios) < 0.7 - 1e-9).sum()) + 1
            cosine = 0.2 + plan.effect * (0.6 + 0.1 * np.sin(layer))
            layers.append(
                {
                    "layer": layer,
                    "scaling": scaling,
                    "n_roles": len(ROLES),
                    "n_fully": len(ROLES),
                    "n_somewhat": 0,
                    "participation_ratio": 1 / float((ratios**2).sum()),
                    "components_needed": needed,
                    "components_share": 0.4 if plan.effect else 1.0,
                    "components_share_low": 0.3 if plan.effect else 0.85,
                    "components_share_high": 0.5 if plan.effect else 1.2,
                    "outlier_dimensions": 1,
                    "axis_pc1_cosine": cosine,
                    "axis_pc1_low": cosine - 0.08,
                    "axis_pc1_high": min(cosine + 0.06, 1.0),
                    "questions_low": cosine - 0.05 if layer == MIDDLE else None,
                    "questions_high": cosine + 0.05 if layer == MIDDLE else None,
                    "null_mean": 0.22,
                    "null_p95": 0.41,
                    "p_value": 0.005 if plan.effect else 0.5,
                    "placebo_share": 0.0 if plan.effect else 0.4,
                    "split_half": 0.9,
                    "split_half_low": 0.8,
                    "split_half_high": 0.95,
                    "split_half_p": 0.01,
                    "split_half_folds": len(QUESTIONS),
                }
            )
            components += [
                {"layer": layer, "scaling": scaling, "component": i, "variance_ratio": r}
                for i, r in enumerate(ratios)
            ]
            noise = rng.normal(0, 1.2, (len(ROLES) + 1, 3)) * [0.4, 2.0, 1.0]
            default = 8.5 * plan.effect
            for i, role in enumerate([*ROLES, "default"]):
                first = default if role == "default" else truth[i]
                spot = noise[i] + [first, 0.15 * (first - 1) ** 2 - 2, 0]
                coordinates += [
                    {
                        "layer": layer,
                        "scaling": scaling,
                        "role": role,
                        "kind": "default" if role == "default" else "fully",
                        "component": k,
                        "coordinate": float(spot[k]),
                    }
                    for k in range(3)
                ]
        names = [*ROLES, "assistant_axis"]
        angle = np.append(truth, 8.5) / 8 + rng.normal(0, 0.1, len(names))
        cosines += [
            {"layer": layer, "left": a, "right": b, "cosine": float(np.cos(angle[i] - angle[j]))}
            for i, a in enumerate(names)
            for j, b in enumerate(names)
        ]
    return {
        "axis/space_layers": table("space_layers", layers),
        "axis/space_components": table("space_components", components),
        "axis/space_coordinates": table("space_coordinates", coordinates),
        "axis/cosines": table("cosines", cosines),
        "axis/role_loadings": _loadings(plan, truth),
        "axis/model_comparison": _comparison(plan),
    }


def _comparison(plan: Planted) -> pa.Table:
    """One pair of models, the model trained from its base: alike, or not."""
    rows = []
    for i, (statistic, component) in enumerate(
        [("geometry", None), ("places on the axis", None), *(("component", c) for c in range(3))]
    ):
        value = (0.9 - 0.1 * i) * plan.effect
        bounded = statistic != "geometry"
        rows.append(
            {
                "left": "good",
                "right": "flat",
                "relation": "base and instruct",
                "statistic": statistic,
                "component": component,
                "matched": component,
                "n_roles": len(ROLES),
                "value": value,
                "low": value - 0.2 if bounded else None,
                "high": value + 0.1 if bounded else None,
                "null_p95": 0.45,
                "p_value": 0.01 if plan.effect else 0.6,
            }
        )
    return table("model_comparison", rows)


def _loadings(plan: Planted, truth: np.ndarray) -> pa.Table:
    """Loadings on three components, of which only the first is planted."""
    rng = plan.rng("loadings")
    places = rng.normal(size=(len(ROLES), 3))
    places[:, 0] += plan.effect * truth
    places /= np.linalg.norm(places, axis=1, keepdims=True)
    rows = [
        {
            "layer": MIDDLE,
            "scaling": scaling,
            "component": k,
            "variance_ratio": 0.5 / (k + 1),
            "role": role,
            "kind": "fully",
            "loading": float(places[i, k]),
        }
        for scaling in ("centred", "z_scored")
        for i, role in enumerate(ROLES)
        for k in range(3)
    ]
    return table("role_loadings", rows)


def separation_tables(plan: Planted) -> dict[str, pa.Table]:
    """AUC by layer, and projections of every role and the default on two splits."""
    rng = plan.rng("separation")
    aucs = []
    for direction in ("axis", "random0"):
        for split in ("extraction", "heldout"):
            for layer in range(N_LAYERS):
                auc = 0.5 + (
                    0.42 * plan.effect * np.sin(0.4 + layer / 4) if direction == "axis" else 0.03
                )
                aucs.append(
                    {
                        "layer": layer,
                        "direction": direction,
                        "split": split,
                        "n_default": 16,
                        "n_roles": 192,
                        "n_questions": len(QUESTIONS),
                        "auc": auc,
                        "auc_low": auc - 0.07,
                        "auc_high": min(auc + 0.05, 1.0),
                        "null_p95": 0.62,
                        "p_value": 0.005,
                    }
                )
    result = {"axis/separation": table("separation", aucs), **_heldout_roles(plan)}
    for i, subject in enumerate([*ROLES, "default"]):
        centre = plan.effect * (3.0 if subject == "default" else 1.5 - 0.3 * i)
        rows = [
            {
                "subject": subject,
                "kind": "default" if subject == "default" else "role",
                "response_id": f"{subject}-{split}-{question}-{sample}",
                "question_id": question,
                "split": split,
                "direction": direction,
                "layer": layer,
                "projection": float(centre * (direction == "axis") + rng.normal(0, 0.7)),
            }
            for split in ("extraction", "heldout")
            for question in QUESTIONS
            for sample in range(2)
            for direction in ("axis", "random0")
            for layer in (MIDDLE - 1, MIDDLE)
        ]
        result[f"roles/{subject}/projections"] = table("projections", rows)
    return result


def _heldout_roles(plan: Planted) -> dict[str, pa.Table]:
    """AUC of every role along the axis without it, and their mean."""
    rows = [
        {
            "role": role,
            "layer": MIDDLE,
            "in_axis": role != ROLES[-1],
            "cosine": 0.97,
            "n_role": 16 if role != "*" else len(ROLES),
            "n_default": 16,
            "auc": 0.5 + plan.effect * (0.4 - 0.01 * i),
            "auc_low": 0.42 + plan.effect * (0.4 - 0.01 * i),
            "auc_high": 0.55 + plan.effect * 0.4,
            "auc_with": 0.53 + plan.effect * (0.4 - 0.01 * i),
            "auc_random": 0.55,
            "p_random": 0.024 if plan.effect else 0.6,
            "null_p95": 0.6,
            "p_value": 0.005 if plan.effect else 0.5,
        }
        for i, role in enumerate([*ROLES, "*"])
    ]
    return {"axis/heldout_roles": table("heldout_roles", rows)}
