"""Reject tables of another path, or made from another version of their input."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from personae.base.errors import PersonaeError
from personae.data.table_checksums import content_checksum
from personae.workflow.provenance import is_table

_REMEDY = "delete it and run the workflow again"


class InputError(PersonaeError):
    """A table in the place of another, or a stale one; the line names it."""


def check_inputs(paths: Sequence[str]) -> None:
    """Check the tables that a node is about to read against their own provenance.

    A table states the outputs of the node that wrote it: its place must be one of them. It also
    states the contents of the tables that it was made from: where the node reads one of those as
    well (activations and the responses they were extracted from), it must have that content.

    Parameters
    ----------
    paths
        Input files of the node, relative to the project as Snakemake names them.

    Raises
    ------
    InputError
        Naming the table, what it is of, and the remedy.
    TableError
        When a table is missing, or its metadata are damaged.
    """
    from personae.data import tables  # slow to import

    read = [path for path in paths if is_table(path)]
    facts = {path: tables.provenance(path) for path in read}
    for path in read:
        _check_place(path, facts[path])
    contents = {path: content_checksum(Path(path)) for path in read}
    for path in read:
        made_from = json.loads(facts[path].get("inputs", "{}"))
        for source, content in made_from.items():
            if contents.get(source, content) != content:
                raise InputError(f"{path}: was made from another version of {source}; {_REMEDY}")


def _check_place(path: str, facts: dict[str, str]) -> None:
    places = json.loads(facts.get("outputs", "[]"))
    if path not in places:
        wildcards = json.loads(facts.get("wildcards", "{}"))
        of = " ".join(f"{name}={value}" for name, value in wildcards.items())
        raise InputError(
            f"{path}: is a table of {facts.get('rule', 'an unknown rule')} {of}, written as "
            f"{', '.join(places) or 'nothing known'}; {_REMEDY}"
        )
