"""Find damaged results before a run builds on them, without reading their data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from personae.data.table_checksums import ChecksumError, check_footer

ASIDE: Final = ".damaged"
"""Suffix of a damaged file that was moved out of the way."""


def damaged_tables(folder: Path) -> list[Path]:
    """Return the tables below ``folder`` that are cut short or whose metadata are damaged.

    Snakemake only sees that a file is there. A copy that stopped half-way, or a full disk, leaves
    one without its footer. This reads the two ends of each file, so thousands take a moment;
    the data are checked when they are read.
    """
    return [path for path in sorted(folder.rglob("*.parquet")) if not _is_sound(path)]


def set_aside(path: Path) -> None:
    """Move a damaged file out of the way, so that it is made again."""
    path.replace(path.with_name(path.name + ASIDE))


def missing_tables(folder: Path) -> list[Path]:
    """Return the tables that were set aside and have not been made again.

    Where one has been, what was set aside for it is removed.
    """
    return list(_missing(folder))


def _missing(folder: Path) -> Iterator[Path]:
    for aside in sorted(folder.rglob("*.parquet" + ASIDE)):
        path = aside.with_name(aside.name.removesuffix(ASIDE))
        if path.exists():
            aside.unlink()
        else:
            yield path


def _is_sound(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            check_footer(file)
    except ChecksumError:
        return False
    except FileNotFoundError:  # another run is replacing it
        return True
    return True
