"""Read published vectors and convert them to this project's conventions.

Layer ``l`` is the residual stream after block ``l``; an axis points toward the Assistant, a trait
vector toward its trait. Only this module converts other conventions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from personae.base.errors import PersonaeError
from personae.data.model_table import ModelRow
from personae.data.table_values import DEFAULT
from personae.personas.published.control_vectors import control_vector, is_control_vector
from personae.personas.published.published_source import PublishedSource
from personae.personas.published.safe_loading import (
    Matrix,
    files_of,
    load_checked,
    matrix,
)

_PV_FILE: Final = re.compile(r"^(?P<name>.+)_(?P<span>response_avg|prompt_avg|prompt_last)_diff$")
_SPANS: Final = {
    "response_avg": "response_mean",
    "prompt_avg": "prompt_mean",
    "prompt_last": "last_prompt",
}


class VectorFamily(NamedTuple):
    """Vectors of one role, trait or axis at all layers.

    Attributes
    ----------
    name
        Role, trait, or ``axis``.
    span
        Tokens that were averaged; ``response_mean`` if the file does not state it.
    vectors
        ``[L, hidden]`` float32; row ``i`` is of layer ``at[i]``.
    normed_end
        Whether the last row was taken after the model's final norm, as the last of a list of
        hidden states is. It is then not the residual stream after the last block.
    layers
        The layers that a control vector has; None is all of the model's.
    """

    name: str
    span: str
    vectors: Matrix
    normed_end: bool = False
    layers: Sequence[int] | None = None

    @property
    def at(self) -> Sequence[int]:
        """The layers of the rows, ascending."""
        return range(len(self.vectors)) if self.layers is None else self.layers


def read_families(source: PublishedSource, model: ModelRow, base: Path) -> list[VectorFamily]:
    """Return the vectors of a source in this project's orientation and layer numbering.

    Raises
    ------
    PersonaeError
        If a tensor does not fit the model or the file is malformed; names the file.
    """
    families = [
        family for path in files_of(source, base) for family in _in_file(source, path, model)
    ]
    if not families:
        raise PersonaeError(f"{source.path}: no vectors found; correct the path")
    names = [(family.name, family.span) for family in families]
    for name in names:
        if names.count(name) > 1:
            raise PersonaeError(f"{source.path}: vectors of {name[0]!r} twice; keep one file")
    return families


def _in_file(source: PublishedSource, path: Path, model: ModelRow) -> Iterator[VectorFamily]:
    """Yield every family in a file, in this project's orientation and layers."""
    content = load_checked(path, source)
    if is_control_vector(content):
        layers, vectors = control_vector(content, str(path), source, model)
        name = "axis" if source.kind == "axis" else _role_name(source, path.stem)
        yield VectorFamily(name, "response_mean", vectors, layers=layers)
        return
    is_normed = source.layers == "hidden_states"
    for name, span, values, where in _named(source, path, content):
        vectors = _of_model(values, where, source, model)
        yield VectorFamily(_role_name(source, name), span, vectors, is_normed)


def _role_name(source: PublishedSource, name: str) -> str:
    """Return a name; the default Assistant's activations lie in ``default_vector.pt``."""
    return DEFAULT if source.kind == "role" and name == "default_vector" else name


def _named(
    source: PublishedSource, path: Path, content: Any
) -> Iterator[tuple[str, str, Matrix, str]]:
    """Yield name, span, matrix and place of every family in a file."""
    where = str(path)
    if source.kind == "axis":
        key = "axis"
        if isinstance(content, Mapping):
            if key not in content:
                known = ", ".join(map(str, content))
                raise PersonaeError(f"{where}: the tensor {key!r} is missing; the file has {known}")
            content = content[key]
        yield key, "response_mean", matrix(content, where), where
    elif isinstance(content, Mapping) and "vector" in content:
        name = content.get("role", path.stem)
        if not isinstance(name, str) or not name:
            raise PersonaeError(f"{where}: role: must be a name, not {name!r:.60}")
        yield name, "response_mean", matrix(content["vector"], f"{where}: vector"), where
    elif isinstance(content, Mapping):
        for name, value in content.items():
            yield str(name), "response_mean", matrix(value, f"{where}: {name}"), where
    else:
        found = _PV_FILE.match(path.stem)
        name, span = (found["name"], _SPANS[found["span"]]) if found else (path.stem, "")
        yield name, span or "response_mean", matrix(content, where), where


def _of_model(values: Matrix, where: str, source: PublishedSource, model: ModelRow) -> Matrix:
    first = int(source.layers == "hidden_states")
    expected = (model.n_layers + first, model.hidden_size)
    if values.shape != expected:
        raise PersonaeError(
            f"{where}: has shape {list(values.shape)}, but {source.model} with layers: "
            f"{source.layers} needs {list(expected)}; correct model or layers"
        )
    return -values[first:] if source.orientation == "away" else values[first:]
