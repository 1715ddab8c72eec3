"""``personae export``: write vectors and floors of a study in the published formats."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from personae.base.errors import PersonaeError

_KINDS: Final = {"role": "role_vectors", "trait": "trait_vectors", "direction": "directions"}


def export(
    table: Annotated[Path, typer.Argument(help="directions, role_vectors or vectors .parquet")],
    out: Annotated[Path, typer.Argument(help="File to write, in .pt, .safetensors or .gguf.")],
    floors: Annotated[
        Path | None,
        typer.Option(help="floors.parquet along these directions: a capping configuration."),
    ] = None,
    variant: Annotated[str, typer.Option(help="Variant of trait vectors.")] = "response_mean",
    name: Annotated[
        str | None, typer.Option(help="Only this vector; a .gguf control vector holds just one.")
    ] = None,
) -> None:
    """Write directions, role vectors, trait vectors or floors of a study to a file.

    Example: personae export results/demo/smollm2_135m/axis/directions.parquet axis.safetensors
    """
    # Imported here, since other commands do not need it.
    from personae.personas.published.write_caps import write_caps
    from personae.personas.published.write_vectors import write_vectors

    if floors:
        write_caps(table, floors, out)
    else:
        write_vectors(table, _kind(table), out, variant, name)
    print(f"{out}: layers: blocks, vectors point toward the Assistant or the trait")


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
