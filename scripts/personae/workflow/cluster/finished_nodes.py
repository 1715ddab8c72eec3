"""Keep the outputs of finished nodes when the group that they are in fails.

Snakemake knows a group of nodes as one job: when one node fails, or the allocation ends, it
deletes the outputs of all of them and restarts all of them. So each node of a batch job keeps
its outputs, once they are complete, under a key of everything that they depend on; the next attempt
takes them from there instead of computing them again. Kept files are hard links: they cost no
space while the outputs are there. A run that ends well removes them.

A node that fails half-way has no outputs yet: `personae.inference.client.row_cache` keeps the rows
that it had received, in the same folder. Neither can do the other's part. Rows kept after a node
has succeeded would double its disk, a gigabyte for the activations of one role, where a link costs
nothing; nodes that ask no model have no rows; and outputs do not exist before a node ends.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

FOLDER = ".finished"
# Snakemake's own file in a folder that is an output.
_TIMESTAMP = ".snakemake_timestamp"


def in_batch_job() -> bool:
    """Whether this process runs in an allocation of a batch system."""
    return bool(os.environ.get("SLURM_JOB_ID"))


class KeptOutputs:
    """The kept outputs of one node.

    Parameters
    ----------
    folder
        Where the study's results are.
    rule, wildcards, params
        The node, as Snakemake hands it over.
    inputs
        Its input files and folders, whose contents enter the key.
    outputs
        Its output files and folders.
    """

    def __init__(
        self,
        folder: Path,
        *,
        rule: str,
        wildcards: Mapping[str, str],
        params: Mapping[str, Any],
        inputs: Iterable[str],
        outputs: Iterable[str],
    ) -> None:
        self._outputs = [Path(path) for path in outputs]
        facts = {
            "rule": rule,
            "wildcards": dict(wildcards),
            "params": dict(params),
            "inputs": {path: _digest(Path(path)) for path in inputs},
            "outputs": [str(path) for path in self._outputs],
        }
        text = json.dumps(facts, sort_keys=True, default=str)
        self._place = folder / FOLDER / hashlib.sha256(text.encode()).hexdigest()[:24]

    def restore(self) -> bool:
        """Put the kept outputs in their places; False if there are none."""
        if not self._place.is_dir():
            return False
        for number, path in enumerate(self._outputs):
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
            for left in (partial, path):  # a folder takes the place of no other
                if left.is_dir():
                    shutil.rmtree(left)
            partial.unlink(missing_ok=True)
            _link(self._place / str(number), partial)
            os.utime(partial)  # not older than the inputs
            partial.replace(path)
        return True

    def keep(self) -> None:
        """Keep the outputs, which are whole. A second one to keep the same does nothing."""
        partial = self._place.with_name(f"{self._place.name}.{os.getpid()}")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for number, path in enumerate(self._outputs):
            _link(path, partial / str(number))
        try:
            partial.rename(self._place)
        except OSError:  # kept already
            shutil.rmtree(partial)


def forget(folder: Path) -> None:
    """Remove everything kept for a study: its run ended well, and the outputs are there."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)


def _digest(path: Path) -> str:
    """Return the digest of a file, or of the files of a folder by name."""
    if path.is_dir():
        files = (file for file in sorted(path.rglob("*")) if file.is_file())
        parts = [f"{f.relative_to(path)} {_digest(f)}" for f in files if f.name != _TIMESTAMP]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _link(source: Path, target: Path) -> None:
    """Link a file, or the files of a folder; copy where the file system knows no hard links."""
    if source.is_dir():
        shutil.copytree(source, target, copy_function=lambda s, t: _link(Path(s), Path(t)))
        return
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
