"""Interventions of many rows as tables that tensor operations can look up token by token.

Rows that ask for the same interventions share a *program*; program 0 is "none". An *entry* is one
intervention of one program, with ``p = <h, w>``:

========  ==========  =========================
op        w           scale of w
========  ==========  =========================
add       v           coefficient
cap       v / |v|     max(floor - p, 0)
ablate    v / |v|     -p
========  ==========  =========================

The entries of program ``p`` at layer ``l`` are ``offsets[l, p]`` to ``offsets[l, p + 1]``, in the
order in which the row lists them. Sign and layer convention as in `personae.api.requests`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from personae.api.requests import Intervention, Positions
from personae.inference.chat_model import ChatModel, Vectors, check_layer, direction_of
from personae.inference.torch_engine.intervention_slots import PlanRow

PROMPT, PROMPT_END, RESPONSE = 1, 2, 4
"""Bits of a token: in its row's prompt, the last token of that, or in the response."""

_MASKS: dict[Positions, int] = {
    "prompt": PROMPT | PROMPT_END,
    "response": RESPONSE,
    "response_from_prompt_end": PROMPT_END | RESPONSE,
    "all": PROMPT | PROMPT_END | RESPONSE,
}
"""Bits of the tokens that a position rule covers."""


def token_bits(position: NDArray[np.int32], n_prompt: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return one of the three bits for every token of a row with ``n_prompt`` prompt tokens."""
    after_end = position - n_prompt
    bits = np.where(after_end < -1, PROMPT, np.where(after_end < 0, PROMPT_END, RESPONSE))
    return bits.astype(np.int32)


@dataclass(frozen=True)
class InterventionTables:
    """Host arrays of one request's interventions; free of torch, so that they can be sent.

    Attributes
    ----------
    program
        int32 [rows]: the program of every row.
    width
        Most interventions of a row: how many counters a row has.
    directions
        float32 [n_directions, hidden].
    offsets
        int32 [n_layers, n_programs + 1], program 0 included.
    direction, rule, source
        int32 [n_entries]: row of ``directions``; mask of token bits; place of the intervention
        among the row's own, which is its counter.
    numbers
        float32 [n_entries, 4]: added, ablated, capped, floor.
    """

    program: NDArray[np.int32]
    width: int
    directions: NDArray[np.float32]
    offsets: NDArray[np.int32]
    direction: NDArray[np.int32]
    rule: NDArray[np.int32]
    source: NDArray[np.int32]
    numbers: NDArray[np.float32]

    @property
    def depth(self) -> NDArray[np.int32]:
        """Entries of every program at every layer, int32 [n_layers, n_programs]."""
        return np.diff(self.offsets, axis=1)


def build_tables(model: ChatModel, rows: Sequence[PlanRow], vectors: Vectors) -> InterventionTables:
    """Arrange the rows' interventions by layer and program.

    Raises
    ------
    RequestError
        If a layer is not the model's, or a vector has another size or no direction.
    """
    numbers: dict[tuple[Intervention, ...], int] = {(): 0}
    keys = [tuple(row.interventions) for row in rows]
    program = [numbers.setdefault(key, len(numbers)) for key in keys]
    directions: dict[tuple[str, bool], int] = {}
    entries: list[tuple[int, int, int]] = []
    values: list[tuple[float, float, float, float]] = []
    placed = _by_layer(model, list(numbers))
    offsets = np.zeros((model.n_layers, len(numbers) + 1), dtype=np.int32)
    for layer in range(model.n_layers):
        offsets[layer, 0] = len(entries)
        for number in range(len(numbers)):
            for source, one in placed.get((layer, number), ()):
                key = (one.vector, one.op == "add")
                where = directions.setdefault(key, len(directions))
                entries.append((where, _MASKS[one.positions], source))
                values.append(_values(one))
            offsets[layer, number + 1] = len(entries)
    table = [direction_of(vectors, name, raw, model) for name, raw in directions]
    columns = np.array(entries, dtype=np.int32).reshape(-1, 3).T
    return InterventionTables(
        program=np.array(program, dtype=np.int32),
        width=max(map(len, keys), default=0),
        directions=np.array(table, dtype=np.float32).reshape(-1, model.hidden_size),
        offsets=offsets,
        direction=columns[0].copy(),
        rule=columns[1].copy(),
        source=columns[2].copy(),
        numbers=np.array(values, dtype=np.float32).reshape(-1, 4),
    )


def _by_layer(
    model: ChatModel, programs: Sequence[tuple[Intervention, ...]]
) -> dict[tuple[int, int], list[tuple[int, Intervention]]]:
    """Return the interventions at every (layer, program), each with its place in its row."""
    placed: dict[tuple[int, int], list[tuple[int, Intervention]]] = defaultdict(list)
    for number, program in enumerate(programs):
        for source, one in enumerate(program):
            check_layer(model, one.layer)
            placed[one.layer, number].append((source, one))
    return placed


def _values(one: Intervention) -> tuple[float, float, float, float]:
    """Return added, ablated, capped and floor of an intervention."""
    if one.op == "add":
        return one.coefficient, 0.0, 0.0, 0.0
    return 0.0, float(one.op == "ablate"), float(one.op == "cap"), one.floor
