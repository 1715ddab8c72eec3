"""A study's responses and scores as a folder that Hugging Face's ``datasets`` loads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from personae.base.atomic_files import replace_atomically
from personae.base.errors import PersonaeError
from personae.data.schemas import SCHEMAS
from personae.workflow.stages.registry import outputs

_KIND: Final = b"personae.schema"
_RESPONSE: Final = "response"
_TOKEN_IDS: Final = ("prompt_ids", "response_ids")


def write_dataset(results: Path, folder: Path) -> dict[str, int]:
    """Write one Parquet file and one configuration of the card a kind of table.

    Every row says from which table of the study it is (``source``). Token ids are left out.

    Returns
    -------
    dict
        Rows by configuration.

    Raises
    ------
    PersonaeError
        If the results hold no responses, or the folder has other content.
    """
    if folder.exists() and any(folder.iterdir()):
        raise PersonaeError(f"{folder}: not empty; give a new folder")
    found: dict[str, list[pa.Table]] = {}
    for kind, table in _tables(results):
        found.setdefault(kind, []).append(table)
    if not found:
        raise PersonaeError(f"{results}: no responses; run the study first, or correct the path")
    rows = {}
    for kind, parts in found.items():
        whole = pa.concat_tables(parts)
        with replace_atomically(folder / "data" / f"{kind}.parquet") as partial:
            pq.write_table(whole, partial, compression="zstd")
        rows[kind] = whole.num_rows
    with replace_atomically(folder / "README.md") as partial:
        partial.write_text(_card(results.name, rows), "utf-8")
    return rows


def _tables(results: Path) -> Iterator[tuple[str, pa.Table]]:
    """Yield kind and content of every table of responses or scores."""
    parts = _parts()
    for path in sorted(results.rglob("*.parquet")):
        kind = (pq.read_schema(path).metadata or {}).get(_KIND, b"").decode()
        kind = kind or (pq.read_metadata(path).metadata or {}).get(_KIND, b"").decode()
        if kind in parts:
            table = pq.read_table(path).replace_schema_metadata(None)
            table = table.drop_columns([c for c in _TOKEN_IDS if c in table.column_names])
            source = path.relative_to(results).as_posix()
            yield (
                kind,
                table.append_column("source", pa.array([source] * table.num_rows, pa.string())),
            )


def _parts() -> set[str]:
    """Return the kinds of tables that hold responses, and scores."""
    kinds = {output.kind for _, _, output in outputs()}
    return {kind for kind in kinds & set(SCHEMAS) if _RESPONSE in SCHEMAS[kind].names} | {"scores"}


def _card(study: str, rows: dict[str, int]) -> str:
    configs = [
        {"config_name": kind, "data_files": [{"split": "train", "path": f"data/{kind}.parquet"}]}
        for kind in rows
    ]
    head = yaml.safe_dump({"configs": configs}, sort_keys=False)
    listed = "\n".join(f"| `{kind}` | {n:,} |" for kind, n in rows.items())
    return f"""---
{head}---
# Responses and scores of the study {study}

`response_id` joins responses and scores of one source folder. A score without a value says why in
`reason`.

| configuration | rows |
|---|---|
{listed}
"""
