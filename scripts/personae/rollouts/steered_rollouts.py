"""Steered rollouts of the layer sweep and the coefficient sweep.

Steering adds ``coefficient * v`` to the residual stream after block ``layer``, ``v`` being the
trait vector as extracted (not normalised), which points toward the trait: positive coefficients
induce it, negative ones suppress it (PV, steering).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from personae.api.requests import Intervention, Positions
from personae.api.rollout import Rollout, chat, seed_of
from personae.science.steering_arms import Setting


def steering_rollouts(
    trait: str,
    settings: Sequence[Setting],
    questions: Sequence[Sequence[str]],
    *,
    samples: int,
    positions: Positions,
    seed: int,
) -> list[Rollout]:
    """Cross settings with held-out ``questions`` (pairs of id and text), without system prompt.

    The seed depends on question and sample alone: arms differ by their intervention only. The arm
    with coefficient 0 runs through the same code path.
    """
    return [
        Rollout(
            id=f"{trait}-{s.direction}-l{s.layer}-c{s.coefficient:g}-{question_id}-s{sample}",
            messages=chat(None, text),
            seed=seed_of(seed, "steering", trait, question_id, sample),
            columns={
                "trait": trait,
                "direction": s.direction,
                "layer": s.layer,
                "coefficient": s.coefficient,
                "positions": positions,
                "question_id": question_id,
                "question": text,
                "sample": sample,
            },
            interventions=(
                Intervention(
                    op="add",
                    layer=s.layer,
                    vector=s.vector,
                    coefficient=s.coefficient,
                    positions=positions,
                ),
            ),
        )
        for s in settings
        for question_id, text in questions
        for sample in range(samples)
    ]


def sweep_settings(layers: Sequence[int], coefficients: Iterable[float]) -> list[Setting]:
    """Return every layer x coefficient along the trait, and one unsteered arm."""
    steered = [Setting("trait", layer, c) for layer in layers for c in coefficients if c != 0]
    return [Setting("trait", layers[0], 0.0), *steered]


def named_vectors(
    settings: Iterable[Setting], families: dict[str, NDArray[np.float64]], layers: Sequence[int]
) -> dict[str, NDArray[np.float32]]:
    """Return the float32 vector of every setting by its key in the request.

    ``families`` maps a direction's name to ``[L, hidden]``, axis 0 running over ``layers``.
    """
    return {
        s.vector: families[s.direction][layers.index(s.layer)].astype(np.float32) for s in settings
    }
