"""The page of licences: every locked package and every model is on it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from personae.tools.docgen import licences
from tests.unit.conftest import ROOT


def test_every_locked_package_and_every_model_has_a_licence() -> None:
    page = (ROOT / "docs/licences.md").read_text(encoding="utf-8")
    for pin in (ROOT / "requirements.lock").read_text(encoding="utf-8").split():
        name, version = pin.split("==")
        assert f"| {name} | {version} | " in page
    assert "| llama31_8b | hub meta-llama/Llama-3.1-8B-Instruct | Llama-3.1-Community |" in page
    assert "|  |" not in page


def test_a_package_that_is_not_installed_here_keeps_its_line(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    shutil.copy(ROOT / "config/models.tsv", tmp_path / "config")
    (tmp_path / "docs").mkdir()
    (tmp_path / "requirements.lock").write_text("nowhere==1.0\nnumpy==2\n", encoding="utf-8")
    assert "| nowhere | 1.0 | not installed here |" in licences.licences(tmp_path)
    (tmp_path / "docs/licences.md").write_text("| nowhere | 1.0 | MIT |\n", encoding="utf-8")
    page = licences.licences(tmp_path)
    assert "| nowhere | 1.0 | MIT |" in page
    assert "| numpy | 2 | BSD" in page


@pytest.mark.parametrize(("package", "licence"), [("pydantic", "MIT"), ("no-such-package", "")])
def test_a_licence_is_what_the_package_states(package: str, licence: str) -> None:
    assert licences.licence_of(package) == licence
