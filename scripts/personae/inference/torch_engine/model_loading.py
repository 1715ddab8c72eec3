"""Load a prepared model; device and dtype are decided here only."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import nn
from transformers import (
    AutoTokenizer,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from personae.inference.engine_errors import ModelError
from personae.inference.model_config import config_problem, read_config
from personae.inference.torch_engine.attention import use_fast_decoding
from personae.inference.torch_engine.decoder_blocks import find_blocks
from personae.inference.torch_engine.model_class import read_weights
from personae.inference.torch_engine.weight_packing import pack_linears
from personae.inference.weights_manifest import (
    WEIGHTS,
    Manifest,
    read_manifest,
    verify_contents,
)

logger = logging.getLogger(__name__)

DtypeName = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class LoadedModel:
    """A chat model ready to run, in evaluation mode.

    ``blocks[l]`` returns the residual stream of layer ``l``; ``device`` is that of the input ids
    (blocks may be spread over several devices); ``max_length`` is the longest sequence that its
    positions allow in any batch, in tokens; ``stop_ids`` are the tokens that end a turn.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    manifest: Manifest | None
    blocks: nn.ModuleList
    hidden_size: int
    vocab_size: int
    max_length: int
    dtype: torch.dtype
    device: torch.device
    stop_ids: frozenset[int]

    @property
    def n_layers(self) -> int:
        return len(self.blocks)


def load_model(
    folder: Path,
    dtype: DtypeName = "auto",
    device: str = "auto",
    adapter: Path | None = None,
) -> LoadedModel:
    """Load the prepared chat model of ``folder``.

    Parameters
    ----------
    folder
        A prepared model.
    dtype, device
        Number format and device; ``auto`` chooses.
    adapter
        Folder of a PEFT adapter whose weights are added to the model's.

    Raises
    ------
    ModelError
        If the folder is not an intact prepared chat model, its weights are quantised, its tensors
        are not those of its architecture, or the device does not exist.
    """
    manifest = read_manifest(folder)
    if manifest.kind != "chat":
        raise ModelError(f"{folder} is a prepared {manifest.kind}, not a chat model")
    verify_contents(folder, manifest)
    config = read_config(folder / WEIGHTS / "config.json", str(folder))
    if problem := config_problem(config, "torch"):
        raise ModelError(f"{folder}: {problem}")
    target = choose_device(device)
    several = device == "auto" and torch.cuda.device_count() > 1
    model = read_weights(
        folder / WEIGHTS,
        folder,
        dtype=choose_dtype(dtype, target),
        device_map="auto" if several else {"": target},
    )
    if adapter is not None:
        # Imported here: slow, and most models have none.
        from personae.inference.adapter_merging import apply_adapter

        model = apply_adapter(model, adapter, manifest.weights_digest)
    tokenizer = AutoTokenizer.from_pretrained(folder / WEIGHTS, local_files_only=True)
    loaded = wrap_model(model, tokenizer, manifest)
    logger.info("%s computes in %s (asked: %s) on %s", folder, loaded.dtype, dtype, loaded.device)
    return loaded


def wrap_model(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, manifest: Manifest | None = None
) -> LoadedModel:
    """Return a `LoadedModel` of a model and a tokenizer in memory."""
    use_fast_decoding(model)
    pack_linears(model)
    text_config = model.config.get_text_config(decoder=True)
    embeddings = model.get_input_embeddings()
    return LoadedModel(
        model=model.eval().requires_grad_(False),
        tokenizer=tokenizer,
        manifest=manifest,
        blocks=find_blocks(model),
        hidden_size=text_config.hidden_size,
        vocab_size=text_config.vocab_size,
        max_length=longest_sequence(text_config),
        dtype=model.dtype,
        device=device_of(embeddings),
        stop_ids=stop_ids_of(model.generation_config, tokenizer),
    )


def longest_sequence(config: PreTrainedConfig) -> int:
    """Return the length in tokens up to which a row gives the same result alone and in any batch.

    Longrope (Phi-3, Phi-4-mini) chooses its short or long frequencies for all rows of a batch by
    the longest row, and a cache that grows past the original length would contain keys of both.
    Dynamic scaling does the same, but beyond ``max_position_embeddings``.
    """
    positions: int = config.max_position_embeddings
    rope = getattr(config, "rope_parameters", None) or {}
    # One set of parameters for all layers, or one per type of layer.
    kinds = [rope, *(kind for kind in rope.values() if isinstance(kind, dict))]
    longropes = [kind for kind in kinds if kind.get("rope_type") == "longrope"]
    longest: int = min(
        [positions, *(kind["original_max_position_embeddings"] for kind in longropes)]
    )
    if longest < positions:
        logger.info("sequences end at %d of %d positions: longrope", longest, positions)
    return longest


def device_of(module: nn.Module) -> torch.device:
    """Return the device on which a module computes, even if accelerate offloads its weights."""
    hook = getattr(module, "_hf_hook", None)
    execution = getattr(hook, "execution_device", None)
    if execution is not None:
        return (
            torch.device("cuda", execution)
            if isinstance(execution, int)
            else torch.device(execution)
        )
    return next(module.parameters()).device


def choose_device(name: str) -> torch.device:
    """Resolve ``auto`` to the first CUDA device if there is one; check any other name."""
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ModelError(f"device {name!r} is unknown; use auto, cpu, cuda or cuda:N") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ModelError(f"device {name!r}: {torch.cuda.device_count()} CUDA devices are available")
    return device


def choose_dtype(name: DtypeName, device: torch.device) -> torch.dtype:
    """Resolve ``auto``: bfloat16 if the device multiplies it natively, else float32."""
    if name == "auto":
        if device.type == "cuda":
            fast = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            capabilities = torch.cpu.get_capabilities()
            fast = bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
        name = "bfloat16" if fast else "float32"
    return torch.bfloat16 if name == "bfloat16" else torch.float32


def stop_ids_of(
    config: GenerationConfig | None, tokenizer: PreTrainedTokenizerBase
) -> frozenset[int]:
    """Return the end tokens of the generation config (one or several) and of the tokenizer."""
    declared = config.eos_token_id if config is not None else None
    ids = declared if isinstance(declared, list) else [declared]
    return frozenset(i for i in (*ids, tokenizer.eos_token_id) if i is not None)
