"""Control vectors of repeng and llama.cpp: one direction with vectors at some layers.

A ``.gguf`` file holds a tensor ``direction.{layer}`` ``[hidden]`` per layer, a ``.pt`` file a
mapping of layer to ``[hidden]``. Layers are 0-based: the residual stream after the block.
llama.cpp has no vector at layer 0, so files have none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from personae.base.atomic_files import replace_atomically
from personae.base.errors import PersonaeError
from personae.data.model_table import ModelRow
from personae.personas.published.published_source import PublishedSource
from personae.personas.published.safe_loading import Matrix, matrix

SUFFIX: Final = ".gguf"
_ARCHITECTURE: Final = "controlvector"
_TENSOR: Final = re.compile(r"direction\.(\d{1,4})")


def read_gguf(path: Path) -> dict[int, Any]:
    """Return the directions of a ``.gguf`` file by layer, as float32 tensors.

    Raises
    ------
    PersonaeError
        If it is damaged or not a control vector.
    """
    import torch
    from gguf import GGMLQuantizationType, GGUFReader

    found: dict[int, Any] = {}
    try:
        for tensor in GGUFReader(path).tensors:
            named = _TENSOR.fullmatch(tensor.name)
            if not named or tensor.tensor_type != GGMLQuantizationType.F32:
                kind = tensor.tensor_type.name
                raise PersonaeError(
                    f"{path}: {tensor.name} ({kind}) is not a float32 direction.LAYER; give a "
                    "control vector of repeng or llama.cpp"
                )
            found[int(named[1])] = torch.from_numpy(np.array(tensor.data))
    except FileNotFoundError:
        raise PersonaeError(f"{path}: no such file; correct the path") from None
    except (ArithmeticError, LookupError, MemoryError, OSError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise PersonaeError(f"{path}: cannot be read ({reason}); download it again") from None
    if not found:
        raise PersonaeError(f"{path}: no directions; give a control vector")
    return found


def is_control_vector(content: Any) -> bool:
    """Return whether a file's content maps layers to vectors."""
    if not isinstance(content, Mapping) or not content:
        return False
    return all(isinstance(key, int) and not isinstance(key, bool) for key in content)


def control_vector(
    content: Mapping[int, Any], where: str, source: PublishedSource, model: ModelRow
) -> tuple[list[int], Matrix]:
    """Return layers and ``[L, hidden]`` of a control vector, in this project's conventions.

    With ``layers: hidden_states`` the numbers count the embeddings as 0, which are left out.

    Raises
    ------
    PersonaeError
        If a vector does not fit the model; names the file and the layer.
    """
    first = int(source.layers == "hidden_states")
    layers, rows = [], []
    for key in sorted(content):
        row = matrix(content[key], f"{where}: layer {key}", row=True)
        if row.shape[1] != model.hidden_size:
            raise PersonaeError(
                f"{where}: layer {key}: {row.shape[1]} numbers, but {model.name} has "
                f"{model.hidden_size}; correct model"
            )
        if not 0 <= key - first < model.n_layers and key >= first:
            raise PersonaeError(
                f"{where}: layer {key} is out of range, {model.name} has {model.n_layers} layers; "
                "correct model or layers"
            )
        if key >= first:
            layers.append(key - first)
            rows.append(row[0])
    vectors: Matrix = np.stack(rows)
    return layers, -vectors if source.orientation == "away" else vectors


def write_gguf(vectors: NDArray[np.float32], hint: str, path_out: Path) -> None:
    """Write ``[n_layers, hidden]`` as a control vector of all layers but the first.

    Parameters
    ----------
    hint
        The model, which llama.cpp and repeng show.

    Raises
    ------
    PersonaeError
        If what the ``gguf`` package reads back is not what was written.
    """
    from gguf import GGUFWriter

    with replace_atomically(path_out) as partial:
        writer = GGUFWriter(partial, _ARCHITECTURE)
        writer.add_string(f"{_ARCHITECTURE}.model_hint", hint)
        writer.add_uint32(f"{_ARCHITECTURE}.layer_count", len(vectors) - 1)
        for layer in range(1, len(vectors)):
            writer.add_tensor(f"direction.{layer}", np.ascontiguousarray(vectors[layer], "<f4"))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        back = read_gguf(partial)
        if not all(np.array_equal(back[layer], vectors[layer]) for layer in range(1, len(vectors))):
            raise PersonaeError(f"{path_out}: reads back differently; export it again")
