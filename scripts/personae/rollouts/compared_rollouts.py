"""Arms that steer one trait in different ways, at the same dose (PV, vectors and steering).

Every arm acts with one coefficient at the trait's chosen layer unless its name says otherwise:

- ``none``: no steering;
- ``response_mean``, ``prompt_mean``, ``last_prompt``: the variants of the vector, each scaled to
  the length of the response mean, so that only directions differ;
- ``at_response``, ``at_prompt``, ``at_all``, ...: the response mean at other positions;
- ``all_layers``: at every layer ``l`` the increment ``v_l - v_(l-1)`` of the response mean;
- ``ablate``: the direction of the response mean projected out, at all tokens;
- ``with_<trait>``: the response mean together with another trait's, each with the coefficient;
- ``random00``, ...: random directions of the response mean's length.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from personae.api.requests import Intervention, Positions
from personae.api.rollout import Rollout, chat, seed_of
from personae.data.vector_stacks import Stack
from personae.science.chosen_vectors import ChosenVector
from personae.science.reliability import random_direction
from personae.science.steering_arms import VARIANT
from personae.science.steering_comparison import NONE

Vectors = dict[str, NDArray[np.float32]]
_ALL_LAYERS: Final = "all_layers"
_ABLATE: Final = "ablate"


@dataclass(frozen=True)
class ComparedArm:
    """One way of steering: its name and what it does to the residual stream."""

    name: str
    positions: Positions
    interventions: tuple[Intervention, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """Everything that the arms are built from.

    Attributes
    ----------
    layer
        The trait's chosen layer.
    variants
        Vectors ``[L, hidden]`` of the trait by variant.
    layers
        The ``L`` layers.
    coefficient
        Multiplies every vector.
    positions
        Tokens that are steered where an arm does not say otherwise.
    """

    layer: int
    variants: Mapping[str, NDArray[np.float32]]
    layers: Sequence[int]
    coefficient: float
    positions: Positions

    @property
    def main(self) -> NDArray[np.float32]:
        """The response mean at the chosen layer, ``[hidden]``."""
        return np.asarray(self.variants[VARIANT][self.layers.index(self.layer)])

    def variant(self, name: str) -> NDArray[np.float32]:
        """Return a variant at the chosen layer, scaled to the length of the response mean."""
        found = self.variants[name][self.layers.index(self.layer)].astype(np.float64)
        scale = np.linalg.norm(self.main) / np.linalg.norm(found)
        return np.asarray(found * scale, dtype=np.float32)

    def increments(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield every layer with what the response mean gains there."""
        before = np.zeros_like(self.main)
        for layer, vector in zip(self.layers, self.variants[VARIANT], strict=True):
            yield layer, vector - before
            before = vector


def variants_of(table: Stack) -> dict[str, NDArray[np.float32]]:
    """Return the vectors of a trait by variant."""
    return {name: table.vectors[i] for i, name in enumerate(table.keys)}


def compared_arms(
    given: Comparison,
    options: Mapping[str, Any],
    partner: tuple[str, ChosenVector] | None,
) -> tuple[list[ComparedArm], Vectors]:
    """Return the arms and the vectors that their interventions name.

    Parameters
    ----------
    given
        The trait's vectors and the dose.
    options
        ``variants``, ``positions``, ``arms``, ``random_directions`` and ``seed``, from
        `personae.workflow.node_params.compared_arms`.
    partner
        Name and vector of the trait that is steered together with this one; None for none.
    """
    vectors: Vectors = {}

    def add(key: str, vector: NDArray[np.float32], layer: int, at: Positions) -> Intervention:
        vectors[key] = np.asarray(vector, dtype=np.float32)
        return Intervention(
            op="add", layer=layer, vector=key, coefficient=given.coefficient, positions=at
        )

    def simple(name: str, vector: NDArray[np.float32], at: Positions | None = None) -> ComparedArm:
        where = at or given.positions
        return ComparedArm(name, where, (add(name, vector, given.layer, where),))

    arms = [ComparedArm(NONE, given.positions)]
    arms += [simple(name, given.variant(name)) for name in options["variants"]]
    arms += [simple(f"at_{at}", given.main, at) for at in options["positions"]]
    if _ALL_LAYERS in options["arms"]:
        parts = [
            add(f"increment@{layer}", vector, layer, given.positions)
            for layer, vector in given.increments()
        ]
        arms.append(ComparedArm(_ALL_LAYERS, given.positions, tuple(parts)))
    if _ABLATE in options["arms"]:
        vectors[_ABLATE] = given.main
        held = Intervention(op="ablate", layer=given.layer, vector=_ABLATE, positions="all")
        arms.append(ComparedArm(_ABLATE, "all", (held,)))
    if partner is not None:
        name, other = partner
        both = (
            add("own", given.main, given.layer, given.positions),
            add("partner", other.vector, other.layer, given.positions),
        )
        arms.append(ComparedArm(f"with_{name}", given.positions, both))
    for index in range(options["random_directions"]):
        drawn = random_direction(given.main[np.newaxis], options["seed"] + index)[0]
        arms.append(simple(f"random{index:02d}", drawn.astype(np.float32)))
    return arms, vectors


def compared_rollouts(
    trait: str,
    given: Comparison,
    arms: Sequence[ComparedArm],
    questions: Sequence[Sequence[str]],
    *,
    samples: int,
    seed: int,
) -> list[Rollout]:
    """Cross arms with held-out questions, without system prompt; arms share their seeds."""
    return [
        Rollout(
            id=f"{trait}-{arm.name}-{question_id}-s{sample}",
            messages=chat(None, text),
            seed=seed_of(seed, "comparison", trait, question_id, sample),
            columns={
                "trait": trait,
                "arm": arm.name,
                "layer": given.layer,
                "coefficient": 0.0 if arm.name == NONE else given.coefficient,
                "positions": arm.positions,
                "question_id": question_id,
                "question": text,
                "sample": sample,
            },
            interventions=arm.interventions,
        )
        for arm in arms
        for question_id, text in questions
        for sample in range(samples)
    ]
