"""Tiny random-weight models of real classes, each with the properties of its family."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from personae.inference.torch_engine.model_loading import LoadedModel, wrap_model
from personae.inference.weights_manifest import ModelSource
from personae.inference.weights_preparation import prepare_model

from . import templates

SPECIAL = [
    "<s>",
    "</s>",
    "<|im_start|>",
    "<|im_end|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<think>",
    "</think>",
]
# Only for the templates that write them.
RARE = [
    "<|endoftext|>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|end|>",
    "<|im_sep|>",
    "<|start|>",
    "<|channel|>",
    "<|message|>",
    "<|return|>",
]
VOCABULARY = 256 + len(SPECIAL)
WINDOW = 16

_SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 512,
    # Large enough that greedy choices are far from ties.
    "initializer_range": 0.4,
    # Tied to scaled embeddings, a random Gemma would only repeat its input.
    "tie_word_embeddings": False,
    "bos_token_id": 256,
    "eos_token_id": 257,
    "pad_token_id": 257,
}


@dataclass(frozen=True)
class Family:
    """How to build one family's tiny model."""

    config: str
    model: str
    template: str
    extra: Mapping[str, Any] = field(default_factory=dict)
    nested: bool = False


_SLIDING = {
    "sliding_window": WINDOW,
    "layer_types": ["sliding_attention", "full_attention"] * 2,
}
_EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}
_SCALED = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
_LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "partial_rotary_factor": 0.75,
    "short_factor": [1.0, 1.1, 1.3],
    "long_factor": [1.5, 3.0, 6.0],
}

FAMILIES = {
    "llama3": Family(
        "LlamaConfig", "LlamaForCausalLM", templates.LLAMA3, {"rope_parameters": _SCALED}
    ),
    "qwen2": Family("Qwen2Config", "Qwen2ForCausalLM", templates.CHATML_DEFAULT),
    "qwen3": Family("Qwen3Config", "Qwen3ForCausalLM", templates.QWEN3),
    "gemma2": Family(
        "Gemma2Config",
        "Gemma2ForCausalLM",
        templates.GEMMA2,
        {**_SLIDING, "query_pre_attn_scalar": 8, "final_logit_softcapping": 5.0},
    ),
    "gemma3": Family("Gemma3TextConfig", "Gemma3ForCausalLM", templates.GEMMA3, _SLIDING),
    "gemma3_nested": Family(
        "Gemma3Config", "Gemma3ForConditionalGeneration", templates.GEMMA3, _SLIDING, nested=True
    ),
    "mistral": Family(
        "MistralConfig", "MistralForCausalLM", templates.MISTRAL, {"sliding_window": WINDOW}
    ),
    "phi3": Family("Phi3Config", "Phi3ForCausalLM", templates.PHI3, {"sliding_window": WINDOW}),
    # The longrope is Phi-4-mini's.
    "phi4": Family(
        "Phi3Config",
        "Phi3ForCausalLM",
        templates.PHI4,
        {"rope_parameters": _LONGROPE, "original_max_position_embeddings": 256},
    ),
    "olmo2": Family("Olmo2Config", "Olmo2ForCausalLM", templates.OLMO2),
    "smollm3": Family(
        "SmolLM3Config", "SmolLM3ForCausalLM", templates.SMOLLM3, {"no_rope_layers": [1, 1, 1, 0]}
    ),
    "gpt_oss": Family(
        "GptOssConfig", "GptOssForCausalLM", templates.GPT_OSS, {**_SLIDING, **_EXPERTS}
    ),
    "mixtral": Family("MixtralConfig", "MixtralForCausalLM", templates.MISTRAL, _EXPERTS),
}


def _rare(template: str) -> list[str]:
    return [token for token in RARE if token in template]


def make_tokenizer(template: str) -> PreTrainedTokenizerFast:
    """Return a tokenizer of single bytes and special tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE({c: i for i, c in enumerate(alphabet)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="</s>",
        additional_special_tokens=[*SPECIAL[2:], *_rare(template)],
    )
    tokenizer.chat_template = template
    return tokenizer


# vLLM's attention on CPUs knows no smaller heads.
WIDE = {"hidden_size": 64, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32}


def make_model(
    name: str, dtype: torch.dtype = torch.float32, shape: Mapping[str, int] | None = None
) -> PreTrainedModel:
    """Return a family's tiny model with random weights that depend on name and shape alone."""
    family = FAMILIES[name]
    # Configs write into the dictionaries they are given.
    settings = deepcopy({**_SHAPE, **family.extra, **(shape or {})})
    settings["vocab_size"] += len(_rare(family.template))
    config_class = getattr(transformers, family.config)
    if family.nested:
        vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
        vision |= {"num_attention_heads": 2, "image_size": 16, "patch_size": 8}
        config = config_class(text_config=settings, vision_config=vision, tie_word_embeddings=False)
    else:
        config = config_class(**settings)
    torch.manual_seed(0)
    model: PreTrainedModel = getattr(transformers, family.model)(config).to(dtype).eval()
    return model


def prepare_tiny(root: Path) -> Path:
    """Prepare a tiny llama as the model table calls it (``tiny``); return its folder."""
    tiny = load_tiny("llama3")
    tiny.model.save_pretrained(root / "source")
    tiny.tokenizer.save_pretrained(root / "source")
    source = ModelSource(
        name="tiny", kind="chat", source="folder", id=str(root / "source"), revision="", license="-"
    )
    prepare_model(source, root / "tiny")
    return root / "tiny"


def load_tiny(
    name: str = "llama3",
    dtype: torch.dtype = torch.float32,
    shape: Mapping[str, int] | None = None,
    device: str = "cpu",
) -> LoadedModel:
    """Return a family's tiny model as the engine holds it, with the same weights on any device."""
    model: Any = make_model(name, dtype, shape)
    return wrap_model(model.to(device), make_tokenizer(FAMILIES[name].template))
