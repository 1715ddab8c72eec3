"""GGUF to safetensors, once: transformers takes 18 s to load the one and 0.6 s for the other."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel


def convert_gguf(gguf: Path, out: Path) -> None:
    """De-quantise a GGUF chat model and save model and tokenizer to the folder ``out``.

    The weights are saved as bfloat16.
    # ASSUME: rounding to bfloat16 is far below the GGUF's own 4-bit quantisation error, and it
    # lets float32 and bfloat16 runs start from the very same weights.
    """
    where, name = str(gguf.parent), gguf.name
    tokenizer = AutoTokenizer.from_pretrained(where, gguf_file=name)
    loaded = AutoModelForCausalLM.from_pretrained(where, gguf_file=name, dtype=torch.float32)
    model = _without_quantization(loaded).bfloat16()
    tokenizer.save_pretrained(out)
    model.save_pretrained(out)


def _without_quantization(loaded: PreTrainedModel) -> PreTrainedModel:
    """Return the same model built from a clean config.

    A model loaded from GGUF counts as quantised and refuses ``save_pretrained``.
    """
    config = copy.deepcopy(loaded.config)
    del config.quantization_config
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=loaded.dtype)
    model.load_state_dict(loaded.state_dict(), strict=True)
    model.tie_weights()
    model.generation_config = copy.deepcopy(loaded.generation_config)
    return model
