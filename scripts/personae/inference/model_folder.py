"""What a model folder holds, and whether this workflow can run it; read from its JSON files alone.

Looked at before any job, so free of torch and transformers. What is refused is refused by one line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from personae.inference.engine_errors import ModelError
from personae.inference.quantization import quantization_problem

INDEX: Final = "model.safetensors.index.json"
ADAPTER: Final = "adapter_config.json"
NO_TEMPLATE: Final = (
    "its tokenizer has no chat template, as that of a base model; name a jinja file in the column "
    "chat_template of the model table"
)

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
    """What the model table states as well."""

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


def config_problem(config: Mapping[str, Any]) -> str | None:
    """Return why a chat model with this config cannot be run, with a remedy; None if it can."""
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
    return quantization_problem(config.get("quantization_config"))


def folder_problem(
    folder: Path, where: str, stated: ModelShape, is_chat: bool, template: str
) -> str | None:
    """Return why a local folder is not the model that the table states; None if it is.

    Parameters
    ----------
    where
        How messages name the folder.
    stated
        The table's shape; its model type is not compared.
    is_chat
        Whether it is a chat model, and no embedder.
    template
        Chat template that the table names; may be empty.
    """
    if not folder.is_dir():
        return f"{where} is no folder; put the model there or correct the path"
    try:
        base = adapter_base(folder, where) if is_adapter(folder) else folder
        named = where if base is folder else repr(str(base))
        config = read_config(base / "config.json", named)
        shape = shape_of(config, named)
        weight_files(base, named)
    except ModelError as error:
        return str(error)
    for name in ("n_layers", "hidden_size"):
        if (told := getattr(stated, name)) != (found := getattr(shape, name)):
            return f"{name} is {told}, but {where} has {found}; correct the table"
    if not is_chat:
        return None
    if problem := config_problem(config):
        return f"{where}: {problem}"
    has_template = template or has_chat_template(folder) or has_chat_template(base)
    return None if has_template else f"{where}: {NO_TEMPLATE}"


def is_adapter(folder: Path) -> bool:
    """Tell whether a folder holds a PEFT adapter, and not a model."""
    return (folder / ADAPTER).is_file() and not (folder / "config.json").is_file()


def adapter_base(folder: Path, where: str) -> Path:
    """Return the folder of the model that a PEFT adapter belongs to.

    Raises
    ------
    ModelError
        When the adapter names none, or none that is on this machine.
    """
    named = read_config(folder / ADAPTER, where).get("base_model_name_or_path")
    place = f"{where}: {ADAPTER}: base_model_name_or_path"
    if not isinstance(named, str) or not named:
        raise ModelError(f"{place} is missing; name the folder of the base model there")
    for base in (Path(named), folder / named):
        if (base / "config.json").is_file():
            return base
    raise ModelError(
        f"{place}: {named!r} is no model folder on this machine; download that model and write its "
        "folder there"
    )


def has_chat_template(folder: Path) -> bool:
    """Tell whether a folder's tokenizer brings a chat template."""
    if (folder / "chat_template.jinja").is_file() or (folder / "chat_template.json").is_file():
        return True
    try:
        return bool(read_config(folder / "tokenizer_config.json", str(folder)).get("chat_template"))
    except ModelError:
        return False


def weight_files(folder: Path, where: str) -> list[Path]:
    """Return the safetensors files that transformers loads: those of the index, or the one file.

    Repositories also hold the same weights in their makers' own layout (``consolidated*``).

    Parameters
    ----------
    where
        How messages name the folder.

    Raises
    ------
    ModelError
        When there is none, or one that the index names is missing.
    """
    whole = folder / "model.safetensors"
    if (folder / INDEX).is_file():
        names = read_config(folder / INDEX, where).get("weight_map")
        if not isinstance(names, dict):
            raise ModelError(f"{where}: {INDEX} has no weight_map; copy the whole model")
        files = [folder / Path(str(name)).name for name in sorted(set(names.values()))]
    elif whole.is_file():
        files = [whole]
    else:
        files = [
            path
            for path in sorted(folder.glob("*.safetensors"))
            if not path.name.startswith(("consolidated", "adapter_model"))
        ]
    if not files:
        raise ModelError(f"{where} has no *.safetensors files; convert the model")
    if missing := [path.name for path in files if not path.is_file()]:
        raise ModelError(f"{where}: {missing[0]} of {INDEX} is missing; copy the whole model")
    return files


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
