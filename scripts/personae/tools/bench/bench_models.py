"""The models of the benchmark: a prepared one, or a published shape with random weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
import transformers
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from personae.api.requests import Message
from personae.inference.chat_templates import render_prompt
from personae.inference.torch_engine.model_loading import (
    DtypeName,
    LoadedModel,
    choose_device,
    choose_dtype,
    load_model,
    wrap_model,
)
from personae.inference.weights_manifest import WEIGHTS
from personae.tools.bench.baselines import PlainModel

# As published in the models' configs: what decides speed. The weights are random.
SHAPES: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "gemma2_27b": (
        "Gemma2",
        {
            "vocab_size": 256_000,
            "hidden_size": 4608,
            "intermediate_size": 36_864,
            "num_hidden_layers": 46,
            "num_attention_heads": 32,
            "num_key_value_heads": 16,
            "head_dim": 128,
            "query_pre_attn_scalar": 144,
            "sliding_window": 4096,
            "tie_word_embeddings": True,
        },
    ),
    "qwen3_8b": (
        "Qwen3",
        {
            "vocab_size": 151_936,
            "hidden_size": 4096,
            "intermediate_size": 12_288,
            "num_hidden_layers": 36,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "tie_word_embeddings": False,
        },
    ),
}


@dataclass(frozen=True)
class ModelPair:
    """Both sides: the engine's model, whose responses never end early, and the plain one."""

    ours: LoadedModel
    plain: PlainModel

    def prompt(self, messages: list[Message]) -> list[int]:
        """Return the ids of a prompt, the same for both sides."""
        return render_prompt(self.ours.tokenizer, messages)


def prepared(folder: Path, dtype: DtypeName, device: str) -> ModelPair:
    """Load a prepared model twice: as the engine does, and as ``from_pretrained`` gives it."""
    ours = load_model(folder, dtype, device)
    model = AutoModelForCausalLM.from_pretrained(
        str(folder / WEIGHTS), dtype=ours.dtype, local_files_only=True
    )
    plain: nn.Module = model
    plain.to(ours.device).eval().requires_grad_(False)
    return _contest(ours, model)


def random_weights(shape: str, tokenizer: Path, dtype: DtypeName, device: str) -> ModelPair:
    """Draw a model of a published shape, with the tokenizer of the prepared model in a folder.

    There is one copy of the weights for both sides: on a GPU the engine changes nothing in them.
    """
    target = choose_device(device)
    with torch.device(target):
        model = build(shape, choose_dtype(dtype, target))
    words = AutoTokenizer.from_pretrained(str(tokenizer / WEIGHTS), local_files_only=True)
    return _contest(wrap_model(model, words), model)


def build(shape: str, dtype: torch.dtype) -> PreTrainedModel:
    """Return a model of a published shape on torch's default device."""
    family, numbers = SHAPES[shape]
    config = getattr(transformers, f"{family}Config")(**numbers)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=dtype)
    model.requires_grad_(False).eval()
    return model


def _contest(ours: LoadedModel, model: PreTrainedModel) -> ModelPair:
    # Every response has its full budget, so that both sides make the same number of tokens.
    return ModelPair(replace(ours, stop_ids=frozenset()), PlainModel(model, ours.device))
