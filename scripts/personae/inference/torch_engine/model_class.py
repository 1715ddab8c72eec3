"""The transformers class that loads a prepared model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
)

from personae.inference.engine_errors import ModelError


def class_of(folder: Path) -> Any:
    """Return the auto class for the model of a folder.

    A vision-language model (Mistral 3, Qwen2.5-VL) without a causal language model's class is
    loaded by its own class. Without an image it acts as its language model, whose blocks are the
    layers.

    Raises
    ------
    ModelError
        When transformers has neither class.
    """
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING:
        return AutoModelForCausalLM
    if type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        return AutoModelForImageTextToText
    raise ModelError(f"{folder}: transformers has no language model of type {config.model_type!r}")
