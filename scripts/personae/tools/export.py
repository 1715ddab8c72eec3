"""``personae export``: write vectors and floors of a study in the published formats."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

from personae.base.errors import PersonaeError

_KINDS: Final = {"role": "role_vectors", "trait": "trait_vectors", "direction": "directions"}


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of ``personae``."""
    about = (
        "write directions, role vectors, trait vectors or floors of a study as .pt, .safetensors "
        "or .gguf"
    )
    parser = commands.add_parser("export", help=about, description=about)
    parser.add_argument("table", type=Path, help="directions, role_vectors or vectors .parquet")
    parser.add_argument("out", type=Path, help="file to write, in .pt, .safetensors or .gguf")
    parser.add_argument(
        "--floors", type=Path, help="floors.parquet along these directions: a capping configuration"
    )
    parser.add_argument(
        "--variant", default="response_mean", help="of trait vectors (default: response_mean)"
    )
    parser.add_argument("--name", help="only this vector; a .gguf control vector holds just one")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    # Imported here, since the library's commands do not need it.
    from personae.personas.published.write_caps import write_caps
    from personae.personas.published.write_vectors import write_vectors

    if options.floors:
        write_caps(options.table, options.floors, options.out)
    else:
        write_vectors(
            options.table, _kind(options.table), options.out, options.variant, options.name
        )
    print(f"{options.out}: layers: blocks, vectors point toward the Assistant or the trait")
    return 0


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
