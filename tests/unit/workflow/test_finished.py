"""What a node finished outlives the deletion of its outputs, for that very node alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from personae.workflow.cluster.finished_nodes import KeptOutputs, forget


def keeper(folder: Path, **changes: Any) -> KeptOutputs:
    facts: dict[str, Any] = {
        "rule": "generate",
        "wildcards": {"role": "pirate"},
        "params": {"seed": 1, "questions": ["q"]},
        "inputs": [str(folder / "input")],
        "outputs": [str(folder / "a.parquet"), str(folder / "deep" / "b.parquet")],
    }
    return KeptOutputs(folder, **{**facts, **changes})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "input").write_text("input")
    (tmp_path / "a.parquet").write_text("A")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.parquet").write_text("B")
    keeper(tmp_path).keep()
    (tmp_path / "a.parquet").unlink()
    (tmp_path / "deep" / "b.parquet").unlink()
    return tmp_path


def test_deleted_outputs_come_back_newer_than_the_inputs(folder: Path) -> None:
    (folder / "input").write_text("input")  # same content, new time
    assert keeper(folder).restore()
    assert (folder / "a.parquet").read_text() == "A"
    assert (folder / "deep" / "b.parquet").read_text() == "B"
    assert (folder / "a.parquet").stat().st_mtime_ns >= (folder / "input").stat().st_mtime_ns
    assert not list(folder.rglob("*.partial"))


@pytest.mark.parametrize(
    "changes",
    [
        {"rule": "extract"},
        {"wildcards": {"role": "wizard"}},
        {"params": {"seed": 2, "questions": ["q"]}},
    ],
)
def test_another_node_gets_nothing(folder: Path, changes: dict[str, Any]) -> None:
    assert not keeper(folder, **changes).restore()


def test_a_changed_input_gets_nothing(folder: Path) -> None:
    (folder / "input").write_text("other")
    assert not keeper(folder).restore()


def test_kept_files_cost_no_space_and_go_when_the_run_ended_well(folder: Path) -> None:
    assert keeper(folder).restore()
    assert (folder / "a.parquet").stat().st_nlink == 2
    keeper(folder).keep()  # a second time: nothing happens
    assert (folder / "a.parquet").stat().st_nlink == 2
    forget(folder)
    assert (folder / "a.parquet").stat().st_nlink == 1
    assert not keeper(folder).restore()


def test_folders_are_inputs_and_outputs_as_files_are(tmp_path: Path) -> None:
    """As the adapters of fine-tuning."""
    adapter, asked = tmp_path / "adapter", tmp_path / "asked"
    for folder in (adapter, asked):
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "weights").write_text(folder.name)

    def node() -> KeptOutputs:
        return keeper(tmp_path, inputs=[str(asked)], outputs=[str(adapter)])

    node().keep()
    (asked / ".snakemake_timestamp").touch()  # Snakemake's, which changes nothing
    (adapter / "deep" / "weights").unlink()
    assert node().restore()
    assert (adapter / "deep" / "weights").read_text() == "adapter"
    assert not list(tmp_path.glob(".*.partial"))
    (asked / "deep" / "weights").write_text("another")
    assert not node().restore()
