"""Everything that reaches beyond Snakemake's documented interface, with the reason for it.

The rules call these functions and touch no internals themselves. Written for Snakemake 9; when it
is upgraded, this is the module to check, with ``tests/workflow`` and ``tests/slurm``.
"""

from __future__ import annotations

import atexit
import base64
import gc
import json
import os
import sys
from collections import defaultdict
from collections.abc import Callable
from functools import cache
from inspect import signature
from pathlib import Path
from types import FunctionType
from typing import Any, Final, NoReturn

_RECORDS: Final = Path(".snakemake")
_KINDS: Final = ("metadata", "incomplete")
_NAME: Final = os.pathconf("/", "PC_NAME_MAX") - 1
"""Longest part of a record's path, as Snakemake splits it."""


def keep_group_going(workflow: Any) -> None:
    """In a batch job, finish the other nodes of a group after one of them has failed.

    Snakemake does not pass ``--keep-going`` on to the process that runs a group. That process has
    its settings only after the rules are read, so an input function has to call this.
    """
    if workflow.remote_exec and workflow.execution_settings is not None:
        workflow.execution_settings.keep_going = True


def planned_nodes(workflow: Any) -> list[tuple[str, dict[str, str]]]:
    """Return rule and wildcards of the jobs that the plan runs."""
    dag = workflow.dag
    return [(job.rule.name, dict(job.wildcards_dict)) for job in dag.jobs if dag.needrun(job)]


def reused_jobs(workflow: Any) -> int:
    """Return how many jobs of the plan have results that are used as they are."""
    dag = workflow.dag
    return sum(not dag.needrun(job) and job.rule.name != "all" for job in dag.jobs)


def remember_lookups(workflow: Any) -> None:
    """Look up once what Snakemake looks up anew for every job or file, a third of a large plan.

    - The parameters of functions in rules: Snakemake passes a function what it has parameters for,
      and inspects it for every job. Where this attribute is set, it reads that instead.
    - Rules that make a file: Snakemake's index goes by the constant beginning of outputs, which is
      ``results/`` for all, and many jobs read the same file.
    - Copies of scripts in its cache of sources, for whose paths it makes a class at every call.
    - Whether a group depends on itself, which it looks up once for every job of the group.

    The memory of the plan is also not searched for cycles when the process ends, which frees
    nothing that matters and takes seconds.
    """
    from snakemake.dag import DAG  # type: ignore[import-untyped]
    from snakemake.output_index import OutputIndex  # type: ignore[import-untyped]
    from snakemake.sourcecache import SourceCache  # type: ignore[import-untyped]

    _remember_signatures(workflow)
    OutputIndex.match = rules_by_name
    OutputIndex.match_producers = cache(OutputIndex.match_producers)
    SourceCache._cache = cache(SourceCache._cache)
    DAG._check_groups = each_group_once(DAG._check_groups)
    atexit.register(gc.freeze)


def each_group_once(check: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return a check of a graph's groups that sees every group once."""

    def once(dag: Any) -> None:
        group_of = dag._group
        dag._group = {id(group): group for group in group_of.values()}
        try:
            check(dag)
        finally:
            dag._group = group_of

    return once


def rules_by_name(index: Any, path: str) -> set[Any]:
    """Return the rules whose outputs begin and end like a path, found by the file's name.

    An output whose name has a wildcard is compared with every path.
    """
    by_name = _outputs_by_name(index)
    candidates = by_name.get(path.rpartition("/")[2], []) + by_name.get(None, [])
    return {
        rule for start, end, rule in candidates if path.startswith(start) and path.endswith(end)
    }


@cache
def _outputs_by_name(index: Any) -> dict[str | None, list[tuple[str, str, Any]]]:
    """Beginning, end and rule of every output by the file's name, None if it has a wildcard."""
    found = defaultdict(list)
    for start, outputs in index._lookup._entries:
        for rule, end in outputs:
            _, slash, name = end.rpartition("/")
            found[name if slash else None].append((start, end, rule))
    return found


def _remember_signatures(workflow: Any) -> None:
    from snakemake.resources import Resource  # type: ignore[import-untyped]

    found: list[Any] = [Resource.evaluate]
    for rule in workflow.rules:
        values = [*rule.input, *rule.params]
        found += [getattr(value, "callable", value) for value in values]
        found += [resource._evaluator for resource in rule.resources.values()]
    for function in found:
        if isinstance(function, FunctionType):
            function._overwrite_params = signature(function).parameters  # type: ignore[attr-defined]


def start_again(workflow: Any) -> NoReturn:
    """Replace this process by a fresh one with the same command line.

    For a head process that finds that files have changed since it planned its jobs: Snakemake
    cannot plan again. Its lock on the folder is released first, since the new process takes its
    own.
    """
    workflow.persistence.unlock()
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, sys.orig_argv)


def damaged_records(project: Path) -> dict[Path, Path]:
    """Return Snakemake's records that are cut short or not JSON, each with the file it is about.

    A process that is killed while it writes a record leaves half of it. Snakemake then forgets
    what the file was made from, or that it is incomplete, or fails with a traceback. A record is
    JSON in a file whose name is the base64 form of the path, in folders that begin with ``@`` where
    that is long.
    """
    found = {}
    for folder in (project / _RECORDS / kind for kind in _KINDS):
        for record in folder.rglob("*"):
            if record.is_file() and not _is_whole(record.read_bytes()):
                name = "".join(part.removeprefix("@") for part in record.relative_to(folder).parts)
                try:
                    found[record] = Path(base64.urlsafe_b64decode(name).decode())
                except ValueError:  # no record
                    continue
    return found


def file_record(project: Path, name: str) -> dict[str, Any] | None:
    """Return Snakemake's record of a file that it made: ``rule``, ``input`` and more; or None.

    Parameters
    ----------
    project
        Folder in which Snakemake ran.
    name
        The file's path in it.
    """
    coded = base64.urlsafe_b64encode(name.encode()).decode()
    parts = [coded[i : i + _NAME] for i in range(0, len(coded), _NAME)]
    path = (project / _RECORDS / "metadata").joinpath(
        *(f"@{part}" for part in parts[:-1]), parts[-1]
    )
    try:
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found


def _is_whole(record: bytes) -> bool:
    try:
        return isinstance(json.loads(record), dict)
    except (ValueError, RecursionError):
        return False
