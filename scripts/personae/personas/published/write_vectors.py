"""Export a table's vectors as a ``.safetensors`` or ``.pt`` file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from personae.base.atomic_files import replace_atomically
from personae.base.errors import PersonaeError
from personae.base.validation_messages import did_you_mean
from personae.data import tables
from personae.data.vector_stacks import stack
from personae.personas.published.control_vectors import SUFFIX, write_gguf

_KEYS: Final = {"directions": "direction", "role_vectors": "role", "trait_vectors": "trait"}
_ORIENTED: Final = {"directions": "toward", "role_vectors": "none", "trait_vectors": "toward"}
POINTS: Final = {
    "directions": "toward the default Assistant",
    "role_vectors": "means, without a sign",
    "trait_vectors": "toward the trait",
}


def write_vectors(
    table: Path,
    schema: str,
    path_out: Path,
    variant: str = "response_mean",
    name: str | None = None,
) -> None:
    """Write the vectors of a table by name, each ``[n_layers, hidden]`` float32.

    Row ``l`` is layer ``l``, the residual stream after block ``l``. A ``.safetensors`` file states
    this and the orientation in its metadata; a ``.pt`` file holds only the mapping. For roles, the
    fully-role vectors and the default Assistant's mean are written.

    Raises
    ------
    PersonaeError
        If the format is unknown, there are no vectors, or layers are missing.
    """
    key = _KEYS[schema]
    found = tables.read(table, schema)
    if schema == "trait_vectors":
        found = found.filter([value == variant for value in found["variant"].to_pylist()])
    if schema == "role_vectors":
        found = found.filter([value != "somewhat" for value in found["kind"].to_pylist()])
    try:
        held = stack(found, key)
    except ValueError as error:
        raise PersonaeError(f"{table}: {error}; give a table with all layers") from None
    if not held.keys:
        raise PersonaeError(f"{table}: no vectors of {variant}; give another table or variant")
    if held.layers != list(range(len(held.layers))):
        raise PersonaeError(f"{table}: vectors of some layers only; give a table with all of them")
    vectors = {key: held.vectors[i] for i, key in enumerate(held.keys) if name in (None, key)}
    if not vectors:
        raise PersonaeError(f"{table}: no vector {name!r}{did_you_mean(name, held.keys)}")
    if path_out.suffix == SUFFIX:
        if len(vectors) > 1:
            raise PersonaeError(f"{path_out}: holds one vector; choose by --name{_of(vectors)}")
        (vector,) = vectors.values()
        write_gguf(vector, tables.provenance(table).get("model", "unknown"), path_out)
        return
    about = {"layers": "blocks", "orientation": _ORIENTED[schema], "points": POINTS[schema]}
    save(vectors, vectors, about, path_out)


def _of(names: Iterable[str]) -> str:
    return did_you_mean("", names)


def save(
    vectors: Mapping[str, NDArray[np.float32]],
    content: Mapping[str, Any],
    about: Mapping[str, str],
    path_out: Path,
) -> None:
    """Write vectors with metadata (``.safetensors``), or nested content with vectors (``.pt``).

    Raises
    ------
    PersonaeError
        If the format is neither.
    """
    import torch
    from safetensors.torch import save_file

    if path_out.suffix not in (".pt", ".safetensors"):
        raise PersonaeError(
            f"{path_out}: unknown format; use a name that ends in .pt or .safetensors"
        )
    with replace_atomically(path_out) as partial:
        if path_out.suffix == ".safetensors":
            tensors = {name: torch.tensor(value) for name, value in vectors.items()}
            save_file(tensors, partial, metadata={"format": "pt", **about})
        else:
            torch.save(_tensors(content), partial)


def _tensors(content: Any) -> Any:
    """Convert the arrays in nested content to tensors."""
    import torch

    if isinstance(content, Mapping):
        return {key: _tensors(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_tensors(value) for value in content]
    return torch.tensor(content) if isinstance(content, np.ndarray) else content
