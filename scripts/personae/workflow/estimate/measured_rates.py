"""Rates that a finished study reached, from its tables and Snakemake's benchmarks."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pyarrow.compute as pc

from personae.base.errors import PersonaeError
from personae.data import tables


def measured_rates(results: Path) -> str:
    """Return YAML rows for ``measured:`` in the file of rates, one model each.

    Each rate is the median over the role nodes; nodes that shared the machine, or restored what an
    earlier attempt had finished, bias it little that way.

    Raises
    ------
    PersonaeError
        When the folder holds no finished role nodes.
    """
    lines = []
    for model in sorted(path for path in results.glob("*") if (path / "roles").is_dir()):
        generate = list(_rates(model, "generate_role_responses", ["response_ids"]))
        both = ["prompt_ids", "response_ids"]
        read = list(_rates(model, "extract_role_activations", both))
        if generate and read:
            lines += [
                f"  {model.name}:",
                f"    generate: {median(generate):.0f}  # median of {len(generate)} nodes",
                f"    read: {median(read):.0f}  # median of {len(read)} nodes",
            ]
    if not lines:
        raise PersonaeError(f"{results}: no finished role nodes; name the results of a study")
    return "\n".join(["measured:", *lines])


def _rates(model: Path, rule: str, columns: list[str]) -> Iterator[float]:
    """Yield tokens per second of every node of a rule."""
    for path in sorted((model / "benchmarks" / rule).glob("*.tsv")):
        table = model / "roles" / path.stem / "responses.parquet"
        if not table.is_file():
            continue
        responses = tables.read(table, "role_responses", columns)
        tokens = sum(pc.sum(pc.list_value_length(responses[name])).as_py() for name in columns)
        with path.open(encoding="utf-8", newline="") as file:
            seconds = [float(row["s"]) for row in csv.DictReader(file, delimiter="\t")]
        yield tokens / median(seconds)
