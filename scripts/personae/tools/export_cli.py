"""``personae export`` and ``import``: vectors, floors and responses to and from other tools."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from personae.base.errors import PersonaeError
from personae.base.validation_messages import did_you_mean

_TABLE: Final = "config/models.tsv"


class _Kind(StrEnum):
    """Kinds of vectors that are imported."""

    AXIS = "axis"
    ROLE = "role"
    TRAIT = "trait"


class _Layers(StrEnum):
    """What row 0 of a tensor is: block 0's output, or the embeddings."""

    BLOCKS = "blocks"
    HIDDEN_STATES = "hidden_states"


_KINDS: Final = {"role": "role_vectors", "trait": "trait_vectors", "direction": "directions"}


def export(
    table: Annotated[
        Path,
        typer.Argument(help="directions, role_vectors or vectors .parquet; or a study's results."),
    ],
    out: Annotated[
        Path,
        typer.Argument(help="File to write, .pt, .safetensors or .gguf; or a folder, see below."),
    ],
    floors: Annotated[
        Path | None,
        typer.Option(help="floors.parquet along these directions: a capping configuration."),
    ] = None,
    variant: Annotated[str, typer.Option(help="Variant of trait vectors.")] = "response_mean",
    name: Annotated[
        str | None, typer.Option(help="Only this vector; a .gguf control vector holds just one.")
    ] = None,
) -> None:
    """Write vectors, floors or responses of a study for other tools.

    A .gguf file is a control vector that llama.cpp and repeng load. A folder gets the vectors as
    .safetensors with a model card. The results of a study become a folder that datasets loads.

    Example: personae export results/demo/smollm2_135m/axis/directions.parquet axis.safetensors

    Example: personae export results/demo demo_responses
    """
    # Imported here, since other commands do not need it.
    from personae.personas.published.hub_folder import write_hub_folder
    from personae.personas.published.write_caps import write_caps
    from personae.personas.published.write_vectors import write_vectors
    from personae.tools.dataset_folder import write_dataset

    if table.is_dir():
        rows = write_dataset(table, out)
        print(f"{out}: " + ", ".join(f"{n} {kind}" for kind, n in rows.items()))
        return
    if floors:
        write_caps(table, floors, out)
    elif out.suffix:
        write_vectors(table, _kind(table), out, variant, name)
    else:
        write_hub_folder(table, _kind(table), out, variant, name)
    print(f"{out}: layers: blocks, vectors point toward the Assistant or the trait")


def import_vectors(
    file: Annotated[Path, typer.Argument(help="A .pt, .safetensors or .gguf file, or a folder.")],
    out: Annotated[Path, typer.Argument(help="Parquet table to write.")],
    model: Annotated[str, typer.Option(help="Model in config/models.tsv that they belong to.")],
    kind: Annotated[_Kind, typer.Option(help="What the vectors are.")] = _Kind.TRAIT,
    layers: Annotated[_Layers, typer.Option(help="What row 0 is.")] = _Layers.BLOCKS,
    away: Annotated[
        bool, typer.Option("--away", help="They point away from the Assistant or the trait.")
    ] = False,
) -> None:
    """Read vectors of a published format into a table of this project.

    Example: personae import axis.safetensors axis.parquet --model smollm2_135m --kind axis
    """
    from personae.data import tables
    from personae.data.model_table import read_models
    from personae.personas.published.own_tables import direction_table, role_table, trait_table
    from personae.personas.published.published_source import PublishedSource
    from personae.personas.published.vector_files import read_families

    rows = read_models(Path(_TABLE), _TABLE)
    if model not in rows:
        raise PersonaeError(f"no model {model!r} in {_TABLE}{did_you_mean(model, rows)}")
    orientation = {"orientation": "away" if away else "toward"}
    source = PublishedSource.model_validate(
        {"model": model, "kind": kind.value, "layers": layers.value, "path": str(file.absolute())}
        | (orientation if kind is not _Kind.ROLE else {})
    )
    families = read_families(source, rows[model], Path())
    if kind is _Kind.AXIS:
        table, schema = direction_table(families, []), "directions"
    elif kind is _Kind.ROLE:
        table, schema = role_table(families), "role_vectors"
    else:
        table, schema = trait_table(families), "trait_vectors"
    tables.write(table, out, schema, {"rule": "personae import", "source": file.name})
    print(f"{out}: {schema}, {', '.join(family.name for family in families)}")


def _kind(path: Path) -> str:
    """Return the schema name of a table of vectors, found by its columns.

    Raises
    ------
    PersonaeError
        If it is missing or has no vectors.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(path).names
    except FileNotFoundError:
        raise PersonaeError(f"{path}: no such file; correct the path") from None
    except (pa.ArrowException, OSError):
        raise PersonaeError(f"{path}: not a Parquet file; give a table of a study") from None
    for column, kind in _KINDS.items():
        if column in names and "vector" in names:
            return kind
    known = ", ".join(_KINDS.values())
    raise PersonaeError(f"{path}: no vectors by role, trait or direction; give one of {known}")
