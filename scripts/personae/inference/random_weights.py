"""Random weights in the shape of a prepared chat model: a model that has learned nothing."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM


def draw_weights(folder: Path, seed: int) -> None:
    """Replace the weights in ``folder`` by those of an untrained model of the same config.

    The draw is that of the architecture's own initialisation on the CPU in float32, saved as
    bfloat16 as converted models are. Tokenizer, chat template and config stay.
    """
    config = AutoConfig.from_pretrained(str(folder), local_files_only=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    for old in folder.glob("*.safetensors*"):
        old.unlink()
    model.bfloat16().save_pretrained(folder)
