"""Tensors out of ``.pt`` and ``.safetensors`` files, without running anything that is in them."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from personae.base.errors import PersonaeError
from personae.personas.published.published_source import PublishedSource

Matrix = NDArray[np.float32]
CAPS_KEY: Final = "capping"
"""Of a ``.safetensors`` file's metadata: layers of its vectors, and experiments, as JSON."""
_KNOWN: Final = {"layers": ("blocks", "hidden_states"), "orientation": ("toward", "away")}


def files_of(source: PublishedSource, base: Path) -> list[Path]:
    """Return the files of a source, one at least.

    Raises
    ------
    PersonaeError
        When its folder holds none.
    """
    if files := source.files(base):
        return files
    raise PersonaeError(f"{source.path}: no .pt or .safetensors file in this folder")


def load(path: Path) -> Any:
    """Return what a file holds: tensors, or nested lists and mappings of them.

    ``.pt`` files are read with ``weights_only=True``, so that no code in them is run.

    Raises
    ------
    PersonaeError
        When the file is missing, damaged, or holds more than tensors and plain values.
    """
    # Imported here: the one node that needs torch is the one that reads its files.
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return _with_caps(load_file(path), stated(path), path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise PersonaeError(f"{path}: no such file; correct the path") from None
    except pickle.UnpicklingError:
        message = "holds more than tensors and plain values, which could run code; export it anew"
        raise PersonaeError(f"{path}: {message}") from None
    except (SafetensorError, RuntimeError, EOFError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PersonaeError(f"{path}: cannot be read ({reason}); fetch it again") from None


def stated(path: Path) -> dict[str, str]:
    """Return what a ``.safetensors`` file says of itself; nothing for other files."""
    from safetensors import safe_open

    if path.suffix != ".safetensors":
        return {}
    with safe_open(path, "pt") as file:
        return dict(file.metadata() or {})


def refuse_other_words(path: Path, source: PublishedSource) -> None:
    """Refuse a file that states other layers or another orientation than the study does.

    Raises
    ------
    PersonaeError
        By file, with both.
    """
    from safetensors import SafetensorError

    try:
        said = stated(path)
    except (SafetensorError, OSError):
        # What is wrong with the file is said when it is read.
        return
    for key in ("layers", "orientation"):
        mine, theirs = getattr(source, key), said.get(key)
        if theirs in _KNOWN[key] and theirs != mine:
            raise PersonaeError(f"{path}: says {key}: {theirs}, the study {mine}; correct one")


def _with_caps(tensors: dict[str, Any], said: Mapping[str, str], path: Path) -> Any:
    """Put the plain values of a capping configuration, kept as JSON, beside its tensors."""
    if CAPS_KEY not in said:
        return tensors
    try:
        plain = json.loads(said[CAPS_KEY])
        layers, experiments = plain["layers"], plain["experiments"]
        vectors = {
            name: {"layer": layers[name], "vector": value} for name, value in tensors.items()
        }
    except (ValueError, KeyError, TypeError):
        raise PersonaeError(f"{path}: metadata {CAPS_KEY!r} is malformed; export it anew") from None
    return {"vectors": vectors, "experiments": experiments}


def matrix(value: Any, where: str, *, row: bool = False) -> Matrix:
    """Return a tensor ``[rows, hidden]`` as float32; with ``row``, a tensor ``[hidden]``, too.

    Raises
    ------
    PersonaeError
        When it is no dense tensor of floating-point numbers of this shape, or holds one that is
        not finite.
    """
    if not hasattr(value, "detach"):
        raise PersonaeError(f"{where}: must be a tensor, not {type(value).__name__}")
    if not value.is_floating_point() or str(value.layout) != "torch.strided":
        kind = f"{value.dtype} ({value.layout})".replace("torch.", "")
        raise PersonaeError(f"{where}: must be a dense tensor of floats, not {kind}")
    if row and value.ndim == 1:
        value = value[None]
    if value.ndim != 2 or (row and len(value) != 1):
        shape, wanted = list(value.shape), "[hidden]" if row else "[layers, hidden]"
        raise PersonaeError(f"{where}: has shape {shape}; expected {wanted}")
    found: Matrix = value.detach().float().numpy()
    if not np.isfinite(found).all():
        bad = int(np.argwhere(~np.isfinite(found).all(axis=1))[0, 0])
        raise PersonaeError(f"{where}: row {bad} holds a number that is not finite")
    return found
