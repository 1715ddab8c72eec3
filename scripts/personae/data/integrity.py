"""Find damaged results before a run builds on them, without reading their data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from personae.data.table_checksums import ChecksumError, check_footer


def damaged_tables(folder: Path) -> list[str]:
    """Return one line per table below ``folder`` that is cut short or has damaged metadata.

    Snakemake only sees that a file is there. A copy that stopped half-way, or a full disk, leaves
    one without its footer. This reads the two ends of each file, so thousands take a moment; the
    data are checked by whoever reads them.
    """
    return list(_problems(folder))


def _problems(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*.parquet")):
        try:
            with path.open("rb") as file:
                check_footer(file)
        except ChecksumError as error:
            yield f"{path}: truncated or damaged ({error}); delete it and run again"
