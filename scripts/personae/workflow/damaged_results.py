"""Damaged results are found before a run plans its jobs, and made again."""

from __future__ import annotations

from pathlib import Path

from personae.base.atomic_files import explained
from personae.data.integrity import damaged_tables, set_aside
from personae.workflow.snakemake_internals import damaged_records


def clear_damage(project: Path, results: Path, *, is_dry: bool) -> list[str]:
    """Set aside what is damaged, so that Snakemake finds it missing; return one line for each.

    Parameters
    ----------
    project
        The folder in which Snakemake works, with its records.
    results
        The study's results.
    is_dry
        Only say what is damaged.

    Raises
    ------
    WriteError
        When something damaged cannot be set aside.
    """
    lines = []
    for path in damaged_tables(results):
        lines.append(f"{path}: truncated or damaged; it is made again")
        if not is_dry:
            with explained(path):
                set_aside(path)
    for record, path in damaged_records(project).items():
        lines.append(f"{record}: Snakemake's record of {path} is damaged; that is made again")
        if not is_dry:
            record.unlink()
            if path.is_file():
                set_aside(path)
    return lines
