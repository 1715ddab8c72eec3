"""Batch sizes from the memory that is free, read through an injected function."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import Mock

import pytest
import torch

from personae.inference.torch_engine import batch_limit
from personae.inference.torch_engine.batch_limit import batch_tokens, cache_bytes
from personae.inference.torch_engine.model_loading import LoadedModel


def _never(device: torch.device) -> int:
    raise AssertionError("nothing is read where the answer does not depend on it")


def test_a_token_takes_keys_and_values_of_all_layers(tiny: LoadedModel) -> None:
    config = tiny.model.config
    expected = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * 4
    assert cache_bytes(tiny) == expected
    assert cache_bytes(replace(tiny, dtype=torch.bfloat16)) == expected // 2


def test_what_is_asked_for_wins_and_a_cpu_has_a_constant(tiny: LoadedModel) -> None:
    assert batch_tokens(tiny, 77, _never) == 77
    assert batch_tokens(tiny, None, _never) == 32768


@pytest.mark.parametrize(("free", "gpus"), [([10**6], 1), ([10**6, 3 * 10**6], 2), ([1], 1)])
def test_on_gpus_the_cache_takes_a_share_of_the_memory_that_is_free(
    tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch, free: list[int], gpus: int
) -> None:
    blocks = list(tiny.blocks)
    monkeypatch.setattr(
        batch_limit,
        "device_of",
        lambda block: torch.device("cuda", blocks.index(block) % gpus),
    )
    read = Mock(side_effect=lambda device: free[device.index])
    tokens = batch_tokens(tiny, None, read)
    assert tokens == max(int(min(free) * gpus * 0.6) // cache_bytes(tiny), 1)
    assert read.call_count == gpus
