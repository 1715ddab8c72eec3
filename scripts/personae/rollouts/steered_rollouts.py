"""Steered rollouts of the layer sweep and the coefficient sweep.

Steering adds ``coefficient * v`` to the residual stream after block ``layer``, ``v`` being the
trait vector as extracted (not normalised), which points toward the trait: positive coefficients
induce it, negative ones suppress it (PV, steering).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from personae.api.requests import Intervention, Positions, Sampling
from personae.api.rollout import Rollout, chat, seed_of
from personae.data import tables
from personae.inference.client import EngineClient
from personae.rollouts.responses import generate_responses
from personae.science.reliability import random_direction
from personae.science.steering_arms import VARIANT, Setting, steering_vectors


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


def equal_doses(
    vectors: str, norms: Mapping[int, float], layers: Sequence[int], doses: Iterable[float]
) -> list[Setting]:
    """Return every layer x dose as coefficients of the trait vector, and one unsteered arm.

    Parameters
    ----------
    vectors
        Table ``trait_vectors`` of the trait.
    norms
        Mean length of the residual stream by layer.
    doses
        Length of the steering as a share of the residual stream's, the same at every layer.
    """
    table = tables.read(vectors, "trait_vectors", ["layer", "norm"], [("variant", "==", VARIANT)])
    lengths = dict(zip(table["layer"].to_pylist(), table["norm"].to_pylist(), strict=True))
    steered = [
        Setting("trait", layer, round(dose * norms[layer] / lengths[layer], 4))
        for layer in layers
        for dose in doses
        if dose != 0
    ]
    return [Setting("trait", layers[0], 0.0), *steered]


def steering_settings(layer: int, coefficients: Iterable[float], n_random: int) -> list[Setting]:
    """Return every coefficient along the trait and along ``n_random`` random directions.

    Coefficient 0 gives the same response in every direction: it is there once, along the trait.
    """
    directions = ("trait", *(f"random{i}" for i in range(n_random)))
    return [
        Setting(name, layer, c)
        for name in directions
        for c in coefficients
        if c != 0 or name == "trait"
    ]


def write_steered_responses(
    *,
    trait: str,
    vectors: str,
    settings: Callable[[], Sequence[Setting]],
    options: Mapping[str, Any],
    path_out: str,
    engine: EngineClient,
    provenance: dict[str, str],
) -> None:
    """Generate responses steered along one trait vector, on held-out questions.

    One row per setting, question and sample; none if the filter dropped the trait. Columns: those
    of ``steered_responses``.

    Parameters
    ----------
    vectors
        File of the trait's vectors.
    settings
        Returns the arms; not called for a dropped trait, which has no chosen layer.
    options
        ``questions``, ``samples``, ``positions``, ``seed`` and ``sampling``;
        ``random_directions``, their number, if the settings name any. Random directions have the
        norm of the trait vector at every layer.
    """
    table = tables.read(vectors, "trait_vectors")
    if not table.num_rows:  # the filter dropped the trait
        empty = tables.from_rows([], "steered_responses")
        tables.write(empty, path_out, "steered_responses", provenance)
        return
    extracted = steering_vectors(table)
    families = {"trait": extracted.vectors[0]}
    for i in range(options.get("random_directions", 0)):
        families[f"random{i}"] = random_direction(families["trait"], options["seed"] + i)
    arms = settings()
    rollouts = steering_rollouts(
        trait,
        arms,
        options["questions"],
        samples=options["samples"],
        positions=options["positions"],
        seed=options["seed"],
    )
    named = named_vectors(arms, families, extracted.layers)
    sampling = Sampling(**options["sampling"])
    responses = generate_responses(engine, rollouts, sampling, "steered_responses", named)
    tables.write(responses, path_out, "steered_responses", provenance)


def named_vectors(
    settings: Iterable[Setting], families: dict[str, NDArray[np.float64]], layers: Sequence[int]
) -> dict[str, NDArray[np.float32]]:
    """Return the float32 vector of every setting by its key in the request.

    ``families`` maps a direction's name to ``[L, hidden]``, axis 0 running over ``layers``.
    """
    return {
        s.vector: families[s.direction][layers.index(s.layer)].astype(np.float32) for s in settings
    }
