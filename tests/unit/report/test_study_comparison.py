"""Two results folders of one study: identical, within sampling error, or contradicting."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from personae.base.errors import PersonaeError
from personae.data import tables
from personae.report.scorecard.decision import NOT_REPRODUCED, REPRODUCED
from personae.report.study_comparison import compare, verdict
from personae.tools.cli import app

from .synthetic.study import Study


@pytest.fixture
def rerun(study: Study, tmp_path: Path) -> Path:
    """Return a copy of the synthetic study's folder."""
    return Path(shutil.copytree(study.folder, tmp_path / "rerun"))


def rewrite(path: Path, kind: str, change: object) -> None:
    """Change the rows of a table in place."""
    rows = [change(row) for row in tables.read(path, kind).to_pylist()]  # type: ignore[operator]
    schema = tables.read(path, kind).schema
    tables.write(tables.from_rows(rows, kind).cast(schema), path, kind, {"rule": "changed"})


def test_a_copy_is_identical_and_provenance_does_not_count(study: Study, rerun: Path) -> None:
    rewrite(rerun / "scorecard.parquet", "scorecard", lambda row: row)
    found = compare(study.folder, rerun, "same")
    assert found == []
    assert verdict(found) == ("identical: every table has the same content", True)


def test_turned_vectors_are_found_by_their_cosine(study: Study, rerun: Path) -> None:
    path = rerun / "good/axis/directions.parquet"
    frame = tables.read(path, "directions")
    vectors = [np.frombuffer(v.as_py(), "<f4") for v in frame["vector"]]
    vectors[0] = -vectors[0]
    at = frame.schema.get_field_index("vector")
    column = pa.array([v.tobytes() for v in vectors], frame.schema.field(at).type)
    changed = frame.set_column(at, frame.schema.field(at), column)
    tables.write(changed, path, "directions", {})
    for mode in ("same", "other"):
        found = compare(study.folder, rerun, mode)
        (vector,) = [d for d in found if d.part == "vectors"]
        assert "cosine -1.000" in vector.words
        assert not vector.agrees
        assert not verdict(found)[1]


def test_contradicting_verdicts_differ_and_small_changes_of_another_dtype_do_not(
    study: Study, rerun: Path
) -> None:
    def shifted(row: dict[str, object]) -> dict[str, object]:
        moved = {k: row[k] + 1e-3 for k in ("value",) if row[k] is not None}  # type: ignore[operator]
        return row | moved

    rewrite(rerun / "scorecard.parquet", "scorecard", shifted)
    assert not verdict(compare(study.folder, rerun, "same"))[1]
    assert verdict(compare(study.folder, rerun, "other"))[1]

    def turned(row: dict[str, object]) -> dict[str, object]:
        return row | {"verdict": NOT_REPRODUCED} if row["verdict"] == REPRODUCED else row

    rewrite(rerun / "scorecard.parquet", "scorecard", turned)
    found = compare(study.folder, rerun, "other")
    assert any(d.part == "claims" and not d.agrees for d in found)


def test_the_command_says_so_by_its_exit_status(study: Study, rerun: Path) -> None:
    same = CliRunner().invoke(app, ["compare", str(study.folder), str(rerun)])
    assert (same.exit_code, same.output.strip()) == (
        0,
        "identical: every table has the same content",
    )
    (rerun / "good/drift/summary.parquet").unlink()
    missing = CliRunner().invoke(app, ["compare", str(study.folder), str(rerun)])
    assert missing.exit_code == 1
    assert "only in" in missing.output


def test_folders_without_tables_are_refused(study: Study, tmp_path: Path) -> None:
    with pytest.raises(PersonaeError, match="no tables; name a results folder"):
        compare(study.folder, tmp_path, "same")
