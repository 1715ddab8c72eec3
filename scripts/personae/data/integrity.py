"""Find damaged results before a run builds on them, without reading them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

_MAGIC: Final = b"PAR1"


def damaged_tables(folder: Path) -> list[str]:
    """Return one line per Parquet file below ``folder`` that is empty or cut short.

    Snakemake only sees that a file is there. A copy that stopped half-way, or a full disk, leaves
    one without its footer; this looks at the two ends of each file, so thousands take a moment.
    """
    return list(_problems(folder))


def _problems(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*.parquet")):
        size = path.stat().st_size
        if size < 3 * len(_MAGIC):
            yield f"{path}: {size} bytes are no table; delete it and run again"
            continue
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
            file.seek(-2 * len(_MAGIC), 2)
            footer, end = file.read(len(_MAGIC)), file.read()
        if (start, end) != (_MAGIC, _MAGIC) or int.from_bytes(footer, "little") > size:
            yield f"{path}: truncated or damaged ({size} bytes); delete it and run again"
