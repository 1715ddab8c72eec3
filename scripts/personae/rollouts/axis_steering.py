"""Rollouts that are steered along the Assistant Axis (AA, role susceptibility).

Steering adds ``s * u`` to the residual stream after block ``layer`` at every token, with ``u`` the
unit axis, which points toward the default Assistant: a positive strength is toward it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from personae.api.requests import Intervention
from personae.api.rollout import Rollout, chat, seed_of
from personae.base.errors import PersonaeError
from personae.science.projection import unit
from personae.science.projection_tables import direction_stack

AXIS: Final = "axis"


class AxisArm(NamedTuple):
    """One arm: along what, at which layer, how far.

    Attributes
    ----------
    direction
        ``axis``, or ``random<i>``.
    strength
        In the unit of the study; positive is toward the Assistant.
    in_residual_norms, in_persona_gaps
        The same strength in both units.
    shift
        Length of what is added, in units of the residual stream, with the strength's sign.
    """

    direction: str
    layer: int
    strength: float
    in_residual_norms: float
    in_persona_gaps: float
    shift: float

    @property
    def vector(self) -> str:
        """Key of the arm's vector in a request."""
        return f"{self.direction}@{self.layer}"

    def intervention(self) -> Intervention:
        """Return the steering of every token; strength 0 runs through the same code path."""
        return Intervention(
            op="add",
            layer=self.layer,
            vector=self.vector,
            coefficient=self.shift,
            positions="all",
        )


def axis_arms(
    directions: pa.Table,
    *,
    layer: int,
    unit_of_strength: str,
    strengths: Sequence[float],
    random_directions: int,
) -> list[AxisArm]:
    """Cross directions with strengths; strength 0 is one arm, along the axis.

    The persona gap is the length of the axis: it is the difference of the means of default
    Assistant and roles, so along its own direction their projections lie that far apart.

    Parameters
    ----------
    directions
        Table ``directions``.
    unit_of_strength
        ``persona_gap`` or ``residual_norm``.
    random_directions
        Number of random directions, which are shifted by the same lengths.

    Raises
    ------
    PersonaeError
        When the table lacks the layer or a random direction.
    """
    rows = {(row["direction"], row["layer"]): row for row in directions.to_pylist()}
    names = [AXIS, *(f"random{i}" for i in range(random_directions))]
    for name in names:
        if (name, layer) not in rows:
            raise PersonaeError(
                f"no direction {name!r} at layer {layer}; correct susceptibility.layer, or raise "
                "capping.random_directions"
            )
    axis = rows[AXIS, layer]
    gap, residual = float(axis["norm"]), float(axis["residual_norm"])
    scale = gap if unit_of_strength == "persona_gap" else residual
    return [
        AxisArm(name, layer, s, s * scale / residual, s * scale / gap, s * scale)
        for name in names
        for s in strengths
        if s != 0 or name == AXIS
    ]


def unit_vectors(directions: pa.Table, arms: Sequence[AxisArm]) -> dict[str, NDArray[np.float32]]:
    """Return the float32 unit vector of every arm by its key in the request."""
    found = direction_stack(directions)
    place = {name: i for i, name in enumerate(found.keys)}
    return {
        arm.vector: unit(found.vectors[place[arm.direction], found.layers.index(arm.layer)]).astype(
            np.float32
        )
        for arm in arms
    }


def introspective_rollouts(
    arms: Sequence[AxisArm],
    roles: Mapping[str, Sequence[str]],
    questions: Sequence[Sequence[str]],
    *,
    samples: int,
    seed: int,
) -> list[Rollout]:
    """Cross arms, roles' system prompts and introspective questions (pairs of id and text).

    The seed does not depend on the arm: arms differ by their intervention only.
    """
    return [
        Rollout(
            id=f"{arm.direction}-{arm.strength:g}-{role}-p{index}-{question}-s{sample}",
            messages=chat(prompt, text),
            seed=seed_of(seed, "susceptibility", role, index, question, sample),
            columns={
                "role": role,
                "prompt_index": index,
                "question_id": question,
                "question": text,
                "sample": sample,
                **_columns(arm),
            },
            interventions=(arm.intervention(),),
        )
        for arm in arms
        for role, prompts in roles.items()
        for index, prompt in enumerate(prompts)
        for question, text in questions
        for sample in range(samples)
    ]


def _columns(arm: AxisArm) -> dict[str, Any]:
    return {name: value for name, value in arm._asdict().items() if name != "shift"}
