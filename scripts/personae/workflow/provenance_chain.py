"""From a result back to what it was made of: nodes, code, configuration, weights and inputs.

Every table records its node and the content of the tables that the node read. Figures and pages
have no such record of their own; for them Snakemake's record names the inputs.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from personae.base.errors import PersonaeError
from personae.data import tables
from personae.data.table_checksums import content_checksum
from personae.workflow.provenance import is_table
from personae.workflow.snakemake_internals import file_record

CLAIM_TABLES: Final = "claim_tables"
"""Key of a scorecard's provenance: the tables that each claim read, as JSON by claim."""


@dataclass
class TracedFile:
    """One file of the chain.

    Attributes
    ----------
    path
        Path as the nodes know it, relative to the project root.
    facts
        Its provenance, see `personae.workflow.provenance.collect`; empty if there is none.
    checksum
        Of its content now; empty for what is no table.
    problem
        Why the chain is broken here; empty if it is not.
    """

    path: str
    facts: Mapping[str, str] = field(default_factory=dict)
    checksum: str = ""
    problem: str = ""

    @property
    def rule(self) -> str:
        """Rule of the node that made it."""
        return self.facts.get("rule", "")

    @property
    def inputs(self) -> dict[str, str]:
        """Tables that the node read, with the checksums of their contents then."""
        found: dict[str, str] = json.loads(self.facts.get("inputs", "{}"))
        return found

    @property
    def params(self) -> dict[str, Any]:
        """Values of configuration and library that the node depended on."""
        found: dict[str, Any] = json.loads(self.facts.get("params", "{}"))
        return found


def trace(path: Path, only: Sequence[str] | None = None) -> list[TracedFile]:
    """Return a result and everything behind it, each file once, nearest first.

    Parameters
    ----------
    path
        A table of a study, or a figure or page that Snakemake made in this project.
    only
        Of the inputs of ``path``, those to follow; all by default.

    Raises
    ------
    PersonaeError
        If the file is missing, or nothing says how it was made.
    """
    root, first = _first(path)
    wanted = first.inputs if only is None else {name: first.inputs[name] for name in only}
    found = {first.path: first}
    waiting = deque(wanted.items())
    while waiting:
        name, checksum = waiting.popleft()
        if name not in found:
            found[name] = _table(root, name)
            waiting.extend(found[name].inputs.items())
        here = found[name]
        if checksum and here.checksum and checksum != here.checksum:
            here.problem = f"was read as {checksum}, and has changed since"
    return list(found.values())


def claim_tables(scorecard: Path, claim: str) -> list[str] | None:
    """Return the tables that a claim was measured on; None if the scorecard does not say it.

    Raises
    ------
    PersonaeError
        If the claim was not measured in it.
    """
    recorded = tables.provenance(scorecard).get(CLAIM_TABLES)
    if recorded is None:
        return None
    by_claim: dict[str, list[str]] = json.loads(recorded)
    return by_claim.get(claim, [])


def _first(path: Path) -> tuple[Path, TracedFile]:
    """Return the project root and the file that is asked about."""
    if not path.is_file():
        raise PersonaeError(f"{path}: no such file; name a table, figure or page of a study")
    whole = path.absolute()
    if is_table(path):
        facts = tables.provenance(path)
        for name in json.loads(facts.get("outputs", "[]")):
            if whole.as_posix().endswith(f"/{name}"):
                root = Path(whole.as_posix().removesuffix(f"/{name}"))
                return root, TracedFile(name, facts, content_checksum(path))
        return Path(), TracedFile(str(path), facts, content_checksum(path))
    for root in whole.parents:
        name = whole.relative_to(root).as_posix()
        if record := file_record(root, name):
            read = {str(one): "" for one in record["input"] if is_table(str(one))}
            return root, TracedFile(name, {"rule": record["rule"], "inputs": json.dumps(read)})
    raise PersonaeError(
        f"{path}: neither a table nor a file that Snakemake made here; name a table behind it"
    )


def _table(root: Path, name: str) -> TracedFile:
    path = root / name
    try:
        return TracedFile(name, tables.provenance(path), content_checksum(path))
    except PersonaeError:
        problem = "cannot be read" if path.is_file() else "is not there any more"
        return TracedFile(name, problem=problem)
