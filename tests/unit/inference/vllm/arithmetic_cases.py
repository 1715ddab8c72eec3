"""Rows, vectors and steps with which the arithmetic of interventions is compared with float64."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from personae.api.requests import Intervention
from personae.inference.torch_engine.intervention_slots import PlanRow
from personae.inference.torch_engine.interventions import expected_positions

HIDDEN = 16
_RNG = np.random.default_rng(0)
VECTORS = {name: _RNG.normal(size=HIDDEN).astype(np.float32) for name in ("v", "w")}
PLAN = [
    PlanRow([], 3),
    PlanRow([Intervention(op="add", layer=0, vector="v", coefficient=2.0)], 3),
    PlanRow(
        [
            Intervention(op="add", layer=1, vector="w", positions="prompt"),
            Intervention(op="cap", layer=0, vector="v", floor=0.4, positions="response"),
            Intervention(op="ablate", layer=0, vector="w", positions="response_from_prompt_end"),
        ],
        4,
    ),
]


@dataclass
class TinyModel:
    """As much of a chat model as tables need."""

    n_layers: int = 2
    hidden_size: int = HIDDEN
    vocab_size: int = 10
    max_length: int = 100
    tokenizer: Any = None
    stop_ids: frozenset[int] = field(default_factory=frozenset)


def exact(h: NDArray[np.float64], row: int, position: int, layer: int) -> NDArray[np.float64]:
    """Apply a row's interventions to the stream of one token, in float64."""
    for one in PLAN[row].interventions:
        inside = expected_positions(one.positions, PLAN[row].n_prompt, position, position + 1)
        if one.layer != layer or not inside:
            continue
        v = VECTORS[one.vector].astype(np.float64)
        u = v / np.linalg.norm(v)
        if one.op == "add":
            h = h + one.coefficient * v
        elif one.op == "cap":
            h = h - u * min(h @ u - one.floor, 0)
        else:
            h = h - (h @ u) * u
    return h


STEPS = (
    # rows, starts, lengths: a prompt in two pieces, decoding rows beside it, rows in another order
    ((2, 0), (0, 0), (2, 6)),
    ((1, 2, 0), (0, 2, 6), (5, 3, 1)),
    ((2, 1), (5, 5), (1, 1)),
)


def as_step(step: tuple[tuple[int, ...], ...]) -> list[NDArray[np.int32]]:
    """Return rows, starts and lengths of a step as arrays."""
    return [np.array(numbers, dtype=np.int32) for numbers in step]
