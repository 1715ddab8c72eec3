"""Read published vectors and convert them to this project's conventions.

Layer ``l`` is the residual stream after block ``l``; an axis points toward the Assistant, a trait
vector toward its trait. Only this module converts other conventions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from personae.base.errors import PersonaeError
from personae.data.model_table import ModelRow
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


class Family(NamedTuple):
    """Vectors of one role, trait or axis at all layers.

    Attributes
    ----------
    name
        Role, trait, or ``axis``.
    span
        Tokens that were averaged; ``response_mean`` if the file does not state it.
    vectors
        ``[n_layers, hidden]`` float32; row ``l`` is of layer ``l``.
    normed_end
        Whether the last row was taken after the model's final norm, as the last of a list of
        hidden states is. It is then not the residual stream after the last block.
    """

    name: str
    span: str
    vectors: Matrix
    normed_end: bool = False


def read_families(source: PublishedSource, model: ModelRow, base: Path) -> list[Family]:
    """Return the vectors of a source in this project's orientation and layer numbering.

    Raises
    ------
    PersonaeError
        If a tensor does not fit the model or the file is malformed; names the file.
    """
    families = [
        Family(
            name, span, _of_model(values, where, source, model), source.layers == "hidden_states"
        )
        for path in files_of(source, base)
        for name, span, values, where in _named(source, path)
    ]
    if not families:
        raise PersonaeError(f"{source.path}: no vectors found; correct the path")
    names = [(family.name, family.span) for family in families]
    for name in names:
        if names.count(name) > 1:
            raise PersonaeError(f"{source.path}: vectors of {name[0]!r} twice; keep one file")
    return families


def _named(source: PublishedSource, path: Path) -> Iterator[tuple[str, str, Matrix, str]]:
    """Yield name, span, matrix and place of every family in a file."""
    content, where = load_checked(path, source), str(path)
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
