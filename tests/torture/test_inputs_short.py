"""The short form of the mutated inputs of `make torture`, and that a wrong ending is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import inputs


def test_mutated_inputs_are_read_or_refused_by_a_line(tmp_path: Path) -> None:
    assert inputs.mutate(tmp_path, 35, seed=2) == []


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
