"""Read a model's ``config.json``: its shape, and whether this workflow can run it.

Looked at before any job, so free of torch and transformers. What is refused is refused by one line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from personae.inference.engine_errors import ModelError
from personae.inference.quantization import quantization_problem

_ATTENTION: Final = {
    "attention", "full_attention", "sliding_attention", "chunked_attention",
}  # fmt: skip
# Keys that only configs of recurrent or hybrid models have, and families whose keys say nothing.
_RECURRENT_KEYS: Final = (
    "mamba_d_state", "ssm_state_size", "state_size", "lru_width", "conv_L_cache",
    "linear_conv_kernel_dim", "block_types", "hybrid_override_pattern", "attn_layer_period",
)  # fmt: skip
_RECURRENT_TYPES: Final = (
    "mamba", "rwkv", "xlstm", "recurrent_gemma", "lfm2", "falcon_h1", "granitemoehybrid", "jamba",
    "bamba", "zamba", "nemotron_h", "olmo_hybrid", "qwen3_next", "qwen3_5", "kimi_linear",
    "bailing_hybrid", "zaya",
)  # fmt: skip
# Blocks that put out several streams at once (AltUp), not one residual stream.
_SEVERAL_STREAMS: Final = ("altup_num_inputs",)


class ModelShape(NamedTuple):
    """Type, number of layers and hidden size, which the model table states as well."""

    model_type: str
    n_layers: int
    hidden_size: int


def shape_of(config: Mapping[str, Any], where: str) -> ModelShape:
    """Return the shape that a ``config.json`` states, by any of the names in use.

    Parameters
    ----------
    where
        How messages name the file.

    Raises
    ------
    ModelError
        When a part is missing, or is no whole number above 0.
    """
    text = _text_config(config)
    layers = _number(text, ("num_hidden_layers", "n_layer", "n_layers", "num_layers"), where)
    width = _number(text, ("hidden_size", "n_embd", "d_model"), where)
    return ModelShape(str(config.get("model_type", "")), layers, width)


def read_config(path: Path, where: str) -> dict[str, Any]:
    """Return the content of a JSON file of a model folder.

    Raises
    ------
    ModelError
        When it is missing, unreadable, or not one JSON object.
    """
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ModelError(f"{where}: no {path.name}; put the whole model there") from None
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:100]
        raise ModelError(f"{where}: {path.name} cannot be read ({reason}); copy it again") from None
    if not isinstance(content, dict):
        raise ModelError(f"{where}: {path.name} is not one JSON object; copy it again")
    return content


def config_problem(config: Mapping[str, Any], engine: str = "vllm") -> str | None:
    """Return why a chat model with this config cannot be run, with a remedy; None if it can.

    Parameters
    ----------
    engine
        `engine.kind` of the study. Every engine runs what vLLM runs, but for quantised weights.
    """
    text = _text_config(config)
    kind = str(config.get("model_type", ""))
    if not kind:
        return "config.json names no model_type; give the folder of a transformers model"
    if recurrent := _recurrent(text, kind):
        return (
            f"{kind} is a recurrent or hybrid model ({recurrent}); only models whose every layer "
            "is attention can be cached and steered here, so name another"
        )
    if any(key in text for key in _SEVERAL_STREAMS):
        return (
            f"{kind} carries several residual streams side by side (AltUp); layers and vectors are "
            "defined for one, so name another model"
        )
    if config.get("is_encoder_decoder"):
        return f"{kind} is an encoder-decoder; name a causal language model"
    return quantization_problem(config.get("quantization_config"), engine)


def shape_problem(config: Mapping[str, Any], where: str, stated: ModelShape) -> str | None:
    """Return where the shape of a config is not the model table's; None if it is.

    Parameters
    ----------
    where
        How messages name the model.
    stated
        The table's shape; its model type is not compared.

    Raises
    ------
    ModelError
        When the config states no shape.
    """
    shape = shape_of(config, where)
    for name in ("n_layers", "hidden_size"):
        if (given := getattr(stated, name)) != (found := getattr(shape, name)):
            return f"{name} is {given}, but {where} has {found}; correct the table"
    return None


def _text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the language model's part of the config: multimodal configs (Gemma 3) nest it."""
    text = config.get("text_config")
    return text if isinstance(text, Mapping) else config


def _number(config: Mapping[str, Any], names: tuple[str, ...], where: str) -> int:
    for name in names:
        if isinstance(value := config.get(name), int) and value > 0:
            return value
    raise ModelError(f"{where}: config.json has no {names[0]} above 0; copy it again")


def _recurrent(text: Mapping[str, Any], kind: str) -> str:
    """Return the sign of layers that keep a state instead of attending; empty without any."""
    kinds = text.get("layer_types") or text.get("layers_block_type")
    if isinstance(kinds, list):
        others = sorted({str(one) for one in kinds} - _ATTENTION)
        if others:
            return "layers of type " + ", ".join(others)
    names = (kind, str(text.get("model_type", "")))
    family = next((f for f in _RECURRENT_TYPES if any(name.startswith(f) for name in names)), "")
    return family or next((key for key in _RECURRENT_KEYS if text.get(key) is not None), "")
