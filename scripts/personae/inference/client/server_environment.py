"""The environment variables that a model server inherits: those for computing, no secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import personae
from personae.base.thread_waiting import VARIABLES, waiting_asleep
from personae.inference.allocator import keeping_memory

TOKEN_VARIABLE: Final = "PERSONAE_SERVER_TOKEN"
"""Contains the token of a server on a port, for the server and its clients."""

_NAMES: Final = frozenset(
    {
        "HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LD_PRELOAD", "LOGNAME", "PATH", "SHELL",
        "SYSTEMROOT", "TEMP", "TERM", "TMP", "TMPDIR", "TZ", "USER", "VIRTUAL_ENV",
    }
)  # fmt: skip
_PREFIXES: Final = (
    "ACCELERATE_", "CONDA_", "CUBLAS_", "CUDA_", "CUDNN_", "GLIBC_", "GLOO_", "GPU_", "HF_", "HIP_",
    "HSA_", "KMP_", "LC_", "MALLOC_", "NCCL_", "NVIDIA_", "PERSONAE_", "PYTHON", "PYTORCH_", "RAY_",
    "ROCM_", "ROCR_", "SAFETENSORS_", "SLURM_", "TOKENIZERS_", "TORCH", "TRANSFORMERS_", "TRITON_",
    "VLLM_", "XDG_", "ZE_",
)  # fmt: skip
_SECRET: Final = re.compile(r"TOKEN(?!IZERS)|KEY|SECRET|PASS|CREDENTIAL|AUTH|JWT|COOKIE")


def server_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the part of an environment that a model server needs, with this package on its path.

    Keys of endpoints are left out, since only nodes use them. Numbers of threads are left out as
    well, since Snakemake sets them for the one node that happens to start the server.
    """
    kept = {name: text for name, text in environment.items() if _is_needed(name)}
    folders = [str(Path(personae.__file__).parents[1]), kept.get("PYTHONPATH", "")]
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, folders))
    return waiting_asleep(keeping_memory(kept))


def _is_needed(name: str) -> bool:
    wanted = name in _NAMES | VARIABLES or name.startswith(_PREFIXES)
    return wanted and not _SECRET.search(name.upper())
