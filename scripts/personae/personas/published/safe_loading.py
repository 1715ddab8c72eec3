"""Load tensors from ``.pt``, ``.gguf`` and ``.safetensors`` files; no code in them is executed."""

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
"""Metadata key of a ``.safetensors`` file: layers of its vectors and experiments, as JSON."""
_MOST_NUMBERS: Final = 2**26
"""Of one tensor: 500 layers of 130,000 dimensions. A file of 1 kB can state 536 GB (``expand``)."""
_KNOWN: Final = {"layers": ("blocks", "hidden_states"), "orientation": ("toward", "away")}


def files_of(source: PublishedSource, base: Path) -> list[Path]:
    """Return the files of a source.

    Raises
    ------
    PersonaeError
        If its folder holds none.
    """
    if files := source.files(base):
        return files
    raise PersonaeError(
        f"{source.path}: no .pt, .safetensors or .gguf file in this folder; correct the path"
    )


def load(path: Path) -> Any:
    """Return the content of a file: tensors, or nested lists and mappings of them.

    ``.pt`` files are read with ``weights_only=True``, so that no code in them runs.

    Raises
    ------
    PersonaeError
        If the file is missing, damaged, or holds more than tensors and plain values.
    """
    # Imported here, since only the node that reads these files needs torch.
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return _with_caps(load_file(path), _metadata(path), path)
        if path.suffix == ".gguf":
            from personae.personas.published.control_vectors import read_gguf

            return read_gguf(path)
        _check_magic(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise PersonaeError(f"{path}: no such file; correct the path") from None
    except pickle.UnpicklingError:
        message = "holds more than tensors and plain values, which could run code; export it again"
        raise PersonaeError(f"{path}: {message}") from None
    except (
        SafetensorError, ArithmeticError, AttributeError, EOFError, ImportError, LookupError,
        MemoryError, OSError, RuntimeError, TypeError, ValueError,
    ) as error:  # fmt: skip
        # torch.load raises whatever the damaged part of a file leads to.
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise PersonaeError(f"{path}: cannot be read ({reason}); download it again") from None


def _check_magic(path: Path) -> None:
    """Refuse a file that torch did not write, before torch guesses what it is."""
    with path.open("rb") as file:
        start = file.read(4)
    # A zip archive, or a pickle of protocol 2 and later as torch wrote it before version 1.6.
    if start != b"PK\x03\x04" and start[:1] != b"\x80":
        raise PersonaeError(
            f"{path}: is no file that torch.save wrote (it begins with {start!r}); name another"
        )


def _stated(path: Path, content: Any) -> dict[str, str]:
    """Return the metadata of a file, or the text values of its mapping."""
    if path.suffix == ".safetensors":
        return _metadata(path)
    if not isinstance(content, Mapping):
        return {}
    return {key: value for key, value in content.items() if isinstance(value, str)}


def _metadata(path: Path) -> dict[str, str]:
    """Return the metadata of a ``.safetensors`` file."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return dict(file.metadata() or {})


def load_checked(path: Path, source: PublishedSource) -> Any:
    """Return the content of a file, as `load` does, if it matches the study's description.

    Raises
    ------
    PersonaeError
        As `load`, and when the file states other layers or another orientation than the study,
        with both.
    """
    content = load(path)
    said = _stated(path, content)
    for key in ("layers", "orientation"):
        mine, theirs = getattr(source, key), said.get(key)
        if theirs in _KNOWN[key] and theirs != mine:
            raise PersonaeError(
                f"{path}: states {key}: {theirs}, the study {mine}; correct one of them"
            )
    return content


def _with_caps(tensors: dict[str, Any], said: Mapping[str, str], path: Path) -> Any:
    """Combine a capping configuration's tensors with its plain values (JSON in the metadata)."""
    if CAPS_KEY not in said:
        return tensors
    try:
        plain = json.loads(said[CAPS_KEY])
        layers, experiments = plain["layers"], plain["experiments"]
        vectors = {
            name: {"layer": layers[name], "vector": value} for name, value in tensors.items()
        }
    except (ValueError, KeyError, TypeError):
        raise PersonaeError(
            f"{path}: metadata {CAPS_KEY!r} is malformed; export it again"
        ) from None
    return {"vectors": vectors, "experiments": experiments}


def matrix(value: Any, where: str, *, row: bool = False) -> Matrix:
    """Convert a tensor ``[rows, hidden]`` (with ``row`` also ``[hidden]``) to float32.

    Raises
    ------
    PersonaeError
        If it is not a dense floating-point tensor of this shape, or has a value that is not finite.
    """
    if not hasattr(value, "detach"):
        raise PersonaeError(f"{where}: must be a tensor, not {type(value).__name__}")
    if value.device.type != "cpu":
        raise PersonaeError(f"{where}: a tensor without values ({value.device}); export it again")
    if value.numel() > _MOST_NUMBERS:
        shape, most = list(value.shape), f"{_MOST_NUMBERS:,}"
        raise PersonaeError(f"{where}: has shape {shape}; no model's has more than {most} numbers")
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
        raise PersonaeError(
            f"{where}: row {bad} has a value that is not finite; download the file again"
        )
    return found
