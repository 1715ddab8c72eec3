"""A study that keeps only what later nodes use has the same tables as one that keeps everything."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from .conftest import MINI, Project, copy_linked, copy_project

TABLES = (
    "axis/role_vectors",
    "axis/directions",
    "axis/space_layers",
    "axis/separation",
    "axis/heldout_roles",
    "capping/floors",
    "traits/poetic/vectors",
    "traits/cosines",
)
"""What follows from activations; all claims about them read these."""


@pytest.mark.full_size
def test_tables_are_the_same_whether_activations_are_kept_or_read_again(
    project: Project, tmp_path: Path
) -> None:
    other = copy_project(tmp_path)
    copy_linked(project.root / "results", tmp_path / "results")
    for path in (tmp_path / "results/mini").rglob("activations.parquet"):
        path.unlink()
    folder = other.path("")
    for name in ("axis", "projections", "capping/floors.parquet", "traits/cosines.parquet"):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in folder.rglob("vectors.parquet"):
        path.unlink()
    study = tmp_path / MINI
    study.write_text(f"{study.read_text('utf-8')}\nactivations: {{keep: needed}}\n", "utf-8")
    targets = [str(other.path(f"{name}.parquet").relative_to(tmp_path)) for name in TABLES]
    done = other.snakemake("--rerun-triggers", "mtime", "--", *targets)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert not list(folder.rglob("activations.parquet"))
    for name in TABLES:
        ours, theirs = (pq.read_table(p.path(f"{name}.parquet")) for p in (other, project))
        assert ours.to_pandas().equals(theirs.to_pandas()), name
