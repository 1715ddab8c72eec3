"""Quantised weights (AWQ, GPTQ, FP8, bitsandbytes, ...): which engine runs them."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping


def quantization_problem(settings: object, engine: str) -> str | None:
    """Return why an engine does not run a model with these settings; None if it does.

    Parameters
    ----------
    settings
        ``quantization_config`` of a model's ``config.json``.
    engine
        ``torch``, ``vllm``, or ``auto``, which is vLLM where that is installed.
    """
    # ASSUME: interventions and means are those of the weights as published. The libraries that
    # load quantised weights into transformers replace layers by kernels of their own, one per
    # method, and none of them is checked against the torch engine's batching and packed weights.
    if not isinstance(settings, Mapping) or engine == "vllm":
        return None
    if engine == "auto" and importlib.util.find_spec("vllm"):
        return None
    method = str(settings.get("quant_method", "")) or "a method without a name"
    return (
        f"its weights are quantised by {method}, which the torch engine does not run; set "
        "engine.kind to vllm (make env ENGINE=vllm installs it), or name an unquantised copy"
    )
