"""Damage to tables: flipped bits, cut ends, swapped files."""

from __future__ import annotations

import random
import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from personae.base.errors import PersonaeError
from personae.data import tables
from personae.data.integrity import damaged_tables
from personae.data.schemas import SCHEMAS
from personae.workflow.input_checks import check_inputs


def kind_of(path: Path) -> str:
    """Return which kind of table a file is."""
    for kind in SCHEMAS:
        try:
            tables.read(path, kind, [])
        except tables.TableError:
            continue
        return kind
    raise AssertionError(f"{path} is no table")


def flip_bits(paths: Sequence[Path], n: int, seed: int) -> list[str]:
    """Flip one bit ``n`` times, each in a random table; return the damaged tables that were read.

    Every flip is undone. A flip is survived if the table is refused by name.
    """
    draw, failures = random.Random(seed), []
    known: dict[Path, tuple[str, pa.Table]] = {}
    for _ in range(n):
        path = draw.choice(paths)
        if path not in known:
            kind = kind_of(path)
            known[path] = kind, tables.read(path, kind)
        whole = path.read_bytes()
        data, at = bytearray(whole), draw.randrange(len(whole))
        data[at] ^= 1 << draw.randrange(8)
        path.write_bytes(data)
        if trouble := _accepted(path, *known[path]):
            failures.append(f"bit at byte {at} of {path}: {trouble}")
        path.write_bytes(whole)
    return failures


def cut(paths: Sequence[Path], n: int, seed: int) -> list[str]:
    """Truncate a table ``n`` times; return those that were not detected before a run."""
    draw, failures = random.Random(seed), []
    for _ in range(n):
        path = draw.choice(paths)
        whole = path.read_bytes()
        left = draw.randrange(len(whole))
        path.write_bytes(whole[:left])
        if path not in damaged_tables(path.parent):
            failures.append(f"{path} cut to {left} bytes was not found")
        path.write_bytes(whole)
    return failures


def swap(project: Path, paths: Sequence[Path], n: int, seed: int) -> list[str]:
    """Replace a table by another of its kind ``n`` times; return those that were accepted.

    Parameters
    ----------
    project
        The folder to which the places in the tables' provenance are relative: this process's.
    """
    draw, failures = random.Random(seed), []
    kinds = defaultdict(list)
    for path in paths:
        kinds[kind_of(path)].append(path)
    several = [group for group in kinds.values() if len(group) > 1]
    for _ in range(n):
        source, target = draw.sample(draw.choice(several), 2)
        whole = target.read_bytes()
        shutil.copyfile(source, target)
        name = target.relative_to(project).as_posix()
        try:
            check_inputs([name])
            failures.append(f"{source} was accepted in the place of {target}")
        except PersonaeError as error:
            if not str(error).startswith(name):
                failures.append(f"the refusal does not name {name}: {error}")
        target.write_bytes(whole)
    return failures


def _accepted(path: Path, kind: str, right: pa.Table) -> str:
    """Return the error in the handling of a damaged table; empty if it was rejected by name."""
    try:
        found = tables.read(path, kind)
    except tables.TableError as error:
        return "" if str(error).startswith(f"{path}: ") else f"not named in {error}"
    return "wrong values were read" if not found.equals(right) else "the flip was not found"
