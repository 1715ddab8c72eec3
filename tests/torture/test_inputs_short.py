"""The short form of the mutated inputs of `make torture`, and the report of a wrong ending."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import hostile, inputs


def test_mutated_inputs_are_read_or_refused_by_a_line(tmp_path: Path) -> None:
    assert inputs.mutate(tmp_path, 35, seed=2) == []


def test_hostile_files_are_refused_by_a_line(tmp_path: Path) -> None:
    n, wrong = hostile.refuse_hostile(tmp_path)
    assert wrong == []
    assert n >= 18


def test_a_hostile_file_that_is_read_is_told(tmp_path: Path) -> None:
    inputs.make_project(tmp_path)
    (tmp_path / "sound").write_bytes((tmp_path / "study.yaml").read_bytes())
    case = {"number": 0, "file": "study.yaml", "how": "sound", "refused": True}
    case["data"] = str(tmp_path / "sound")
    assert inputs.load_all(tmp_path, [case]) == ["input 0 (study.yaml, sound): it is read"]


def fails(folder: Path, name: str) -> None:
    raise KeyError(name)


def test_what_is_no_refusal_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "study.yaml").write_text("a: 1", encoding="utf-8")
    (tmp_path / "other").write_text("a: 2", encoding="utf-8")
    case = {"number": 4, "file": "study.yaml", "how": "_cut", "data": str(tmp_path / "other")}
    monkeypatch.setattr(inputs, "_load", fails)
    wrong = inputs._wrong(tmp_path, case)
    assert wrong == "input 4 (study.yaml, _cut): KeyError: 'study.yaml'"
    assert (tmp_path / "study.yaml").read_text(encoding="utf-8") == "a: 1"
