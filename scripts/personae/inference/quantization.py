"""Libraries that load quantised weights, by the method that a model's config names."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Final

_LIBRARIES: Final = {
    "bitsandbytes": "bitsandbytes",
    "gptq": "gptqmodel",
    "awq": "gptqmodel",
    "aqlm": "aqlm",
    "compressed-tensors": "compressed_tensors",
    "eetq": "eetq",
    "fbgemm_fp8": "fbgemm_gpu",
    "fp8": "kernels",
    "higgs": "flute",
    "hqq": "hqq",
    "mxfp4": "kernels",
    "quanto": "optimum",
    "spqr": "spqr_quant",
    "torchao": "torchao",
    "vptq": "vptq",
}


def quantization_problem(settings: object) -> str | None:
    """Return which library is missing for quantised weights."""
    if not isinstance(settings, Mapping):
        return None
    method = str(settings.get("quant_method", "")) or "unknown"
    library = _LIBRARIES.get(method)
    if method == "bitnet" or (library and importlib.util.find_spec(library)):
        return None
    needed = f"install {library}" if library else f"known methods: {', '.join(_LIBRARIES)}"
    return (
        f"its weights are quantised by {method}, whose library is not installed; {needed}, or name "
        "an unquantised copy"
    )
