"""Load the weights of a model folder by the transformers class that fits, and check them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    PreTrainedModel,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
)

from personae.inference.engine_errors import ModelError
from personae.inference.tensor_names import check_tensors, renaming


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


def read_weights(weights: Path, name: Path, **options: Any) -> PreTrainedModel:
    """Load a model, whose tensors must all come from its checkpoint and fit.

    Parameters
    ----------
    weights
        Folder of ``config.json`` and safetensors files. A prefix that a wrapper added to the names
        of its tensors is understood.
    name
        How messages name the model.
    options
        Passed on to transformers, such as ``dtype`` and ``device_map``.

    Raises
    ------
    ModelError
        When transformers has no class for it, or tensors are missing, unknown or of another shape.
    """
    model, found = class_of(weights).from_pretrained(
        str(weights),
        local_files_only=True,
        key_mapping=renaming(weights),
        ignore_mismatched_sizes=True,
        output_loading_info=True,
        **options,
    )
    check_tensors(name, found)
    loaded: PreTrainedModel = model
    return loaded
