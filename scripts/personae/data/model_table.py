"""The model table: which models there are, where their weights come from, what they need."""

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from personae.base.errors import PersonaeError
from personae.base.field_types import LayerBand, Slug, parse_band
from personae.base.validation_messages import explain

_COMMIT = re.compile(r"[0-9a-f]{40}")


class RegistryError(PersonaeError):
    """A model table that cannot be used: one line per problem."""


def _bands(text: Any) -> Any:
    if isinstance(text, str):
        return tuple(parse_band(part.strip()) for part in text.split(";") if part.strip())
    return text


def _none_if_empty(text: Any) -> Any:
    return None if text == "" else text


class ModelRow(BaseModel):
    """One row of the model table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Slug = Field(description="How studies call the model: a-z, 0-9 and _.")
    display_name: str = Field(min_length=1, description="Its name in prompts and in the report.")
    kind: Literal["chat", "embedder"] = Field(description="chat or embedder.")
    source: Literal["package", "hub", "folder", "random"] = Field(
        description="package: an installed Python package carries the weights; hub: a Hugging Face "
        "repository; folder: a local folder in Hugging Face format; random: weights drawn from a "
        "seed, in the shape and with the tokenizer of a package's model."
    )
    id: str = Field(min_length=1, description="Package name, repository id or path.")
    revision: str = Field(
        description="hub: the commit, 40 hex digits; package: its version; folder: empty; "
        "random: the package's version, + and the seed."
    )
    n_layers: int = Field(ge=1, le=1000, description="Number of decoder blocks.")
    hidden_size: int = Field(ge=1, le=1_000_000, description="Width of the residual stream.")
    middle_layer: Annotated[int | None, BeforeValidator(_none_if_empty)] = Field(
        ge=0, description="Layer (0-based) of summaries at one layer; empty for embedders."
    )
    capping_bands: Annotated[tuple[LayerBand, ...], BeforeValidator(_bands)] = Field(
        description='Bands of layers to cap, as "16-20;20-24"; may be empty.'
    )
    gpus: int = Field(
        ge=0, le=1000, description="GPUs that one copy of the model needs; 0 runs on CPU."
    )
    gpu_mem_gb: float = Field(ge=0, le=10_000, description="Memory of each of those GPUs, in GB.")
    mem_gb: float = Field(
        gt=0, le=100_000, description="Main memory of a node that holds the model, in GB."
    )
    license: str = Field(min_length=1, description="Licence of the weights.")
    tensor_parallel: Annotated[int | None, BeforeValidator(_none_if_empty)] = Field(
        default=None, ge=1, description="vLLM: GPUs that share every layer; empty is all of gpus."
    )
    quantization: Annotated[str | None, BeforeValidator(_none_if_empty)] = Field(
        default=None,
        description="vLLM: fp8 quantises the weights as they are loaded; empty takes what the "
        "weights declare.",
    )
    gpu_share: Annotated[float | None, BeforeValidator(_none_if_empty)] = Field(
        default=None, gt=0, le=1, description="vLLM: share of each GPU's memory; empty is 0.9."
    )
    max_length: Annotated[int | None, BeforeValidator(_none_if_empty)] = Field(
        default=None,
        ge=2,
        description="vLLM: longest sequence, prompt and response; empty is the model's own.",
    )
    chat_template: str = Field(
        default="",
        description="Jinja file, relative to the project root, in place of the model's own chat "
        "template; base models have none. The column may be left out.",
    )
    base: str = Field(
        default="",
        description="Name in this table of the base model that this one was trained from; a study "
        "of both compares them. The column may be left out.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.source == "hub" and not _COMMIT.fullmatch(self.revision):
            raise ValueError(
                f"revision {self.revision!r} of a hub model is not a commit; give its 40 hex "
                "digits, as branches and tags move"
            )
        if self.kind == "chat" and self.middle_layer is None:
            raise ValueError("middle_layer is empty; a chat model needs one")
        layers = [band.last for band in self.capping_bands] + [self.middle_layer or 0]
        if max(layers) >= self.n_layers:
            raise ValueError(
                f"layer {max(layers)} is out of range; the model has layers 0 to "
                f"{self.n_layers - 1}"
            )
        return self


def read_models(path: Path, source: str | None = None) -> dict[str, ModelRow]:
    """Return the rows of a model table by name, in order.

    The table is tab-separated with one header line; lines that start with # are comments.

    Raises
    ------
    RegistryError
        One line per problem: file, line, column, value and remedy.
    """
    source = source or str(path)
    lines = [(n, x) for n, x in _lines(path, source) if x.strip() and x[0] != "#"]
    if not lines:
        raise RegistryError(f"{source}: empty; its first line must name the columns")
    columns = _cells(f"{source}:{lines[0][0]}", lines[0][1])
    rows: dict[str, ModelRow] = {}
    problems = []
    for number, line in lines[1:]:
        where = f"{source}:{number}"
        try:
            row = _row(where, columns, _cells(where, line))
        except RegistryError as error:
            problems.append(str(error))
            continue
        if row.name in rows:
            problems.append(f"{where}: name: {row.name!r} is there twice; rename one of them")
        rows[row.name] = row
    for row in rows.values():
        if row.base and (row.base not in rows or row.base == row.name):
            problems.append(
                f"{source}: {row.name}: base: no other model {row.base!r} in this table; correct it"
            )
    if problems:
        raise RegistryError("\n".join(problems))
    return rows


def _lines(path: Path, source: str) -> Iterator[tuple[int, str]]:
    """Yield number and text of every line."""
    if not path.is_file():
        what = "is no file" if path.exists() else "no such file"
        raise RegistryError(f"{source}: {what}; correct model_table")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RegistryError(f"{source}: cannot be read ({error.strerror}); check it") from None
    for number, line in enumerate(content.split(b"\n"), 1):
        try:
            yield number, line.decode("utf-8-sig").removesuffix("\r")
        except UnicodeDecodeError as error:
            place = f"{source}:{number}: not UTF-8 at byte {error.start} of the line"
            raise RegistryError(f"{place}; save the table as UTF-8") from None


def _cells(where: str, line: str) -> list[str]:
    """Return the cells of one line; a row never continues on the next line."""
    try:
        return next(csv.reader([line], delimiter="\t", strict=True))
    except csv.Error as error:
        raise RegistryError(f"{where}: {error}; remove or pair the quotation marks") from None


def _row(where: str, columns: Sequence[str], cells: Sequence[str]) -> ModelRow:
    if len(cells) != len(columns):
        counts = f"{len(cells)} cells, but the header has {len(columns)}"
        raise RegistryError(f"{where}: not as many cells as the header has: {counts}; use tabs")
    named = dict(zip(columns, cells, strict=True))
    if len(named) < len(columns):
        raise RegistryError(f"{where}: the header names a column twice; rename one of them")
    try:
        return ModelRow.model_validate(named)
    except ValidationError as error:
        raise RegistryError("\n".join(explain(where, error, ModelRow, named))) from None
