"""Interventions that do nothing - alpha = 0, a floor below everything - change no token."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
import torch

from personae.api.requests import Intervention, Positions, Sampling
from personae.inference.torch_engine.model_loading import LoadedModel

from .asking import GREEDY, generate, generate_request, generate_rows, prompts
from .families import load_tiny
from .streams import MIXED, VECTORS

IDLE = [
    [
        Intervention(op="add", layer=1, vector="v", coefficient=0, positions=positions),
        Intervention(op="cap", layer=2, vector="axis", floor=-1e6, positions=positions),
        Intervention(op="cap", layer=3, vector="w", floor=-1e6),
    ]
    for positions in get_args(Positions)
]
WARM = Sampling(temperature=0.9, top_p=0.9, max_new_tokens=12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("sampling", [GREEDY, WARM], ids=["greedy", "sampled"])
@pytest.mark.parametrize("idle", IDLE, ids=get_args(Positions))
def test_coefficient_zero_and_an_inactive_floor_change_no_token(
    idle: list[Intervention], sampling: Sampling, dtype: torch.dtype, device: str
) -> None:
    """Rows enter and leave meanwhile; the steered arm at alpha = 0 is the unsteered one."""
    loaded = replace(
        load_tiny("llama3", dtype, device=device), stop_ids=frozenset(range(0, 256, 12))
    )
    turns = prompts(24)
    plain = generate(loaded, generate_request(generate_rows(turns), sampling), 500)
    rows = generate_rows(turns, dict.fromkeys(range(24), idle))
    found = generate(loaded, generate_request(rows, sampling, VECTORS), 500)
    assert [replace(result, fired=0) for result in found] == plain
    assert all(result.fired for result in found)
    assert {result.finish_reason for result in found} == {"stop", "length"}


def test_idle_rows_beside_plain_and_steered_ones_keep_their_tokens(
    placed_tiny: LoadedModel,
) -> None:
    turns = prompts(24)
    chosen = {i: IDLE[i // 3 % 3] for i in range(0, 24, 3)} | {i: MIXED[0] for i in range(1, 24, 3)}
    for sampling in (GREEDY, WARM):
        plain = generate(placed_tiny, generate_request(generate_rows(turns), sampling), 500)
        request = generate_request(generate_rows(turns, chosen), sampling, VECTORS)
        found = [result.response_ids for result in generate(placed_tiny, request, 500)]
        same = [ids == result.response_ids for ids, result in zip(found, plain, strict=True)]
        assert all(same[0::3])
        assert all(same[2::3])
        assert not any(same[1::3]), "those that are steered say something else"
