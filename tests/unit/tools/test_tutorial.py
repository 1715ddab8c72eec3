"""docs/tutorial.md, followed in a copy of the project."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Final

import pytest

from personae.base.strict_yaml import read_yaml
from personae.tools.cli import main
from personae.workflow.config import Study, load_study
from tests.unit.conftest import ROOT

PAGE: Final = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
BLOCK: Final = re.compile(r"^```(yaml|sh)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
STUDIES: Final = ("my_role.yaml", "my_trait.yaml", "my_model.yaml", "my_judge.yaml")


def save_files(project: Path) -> None:
    """Save every file of the page."""
    for kind, text in BLOCK.findall(PAGE):
        if kind == "yaml":
            first, _, content = text.partition("\n")
            (project / first.removeprefix("# ")).write_text(content, encoding="utf-8")


@pytest.fixture
def followed(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project with the files of the page, as the working directory."""
    save_files(project)
    monkeypatch.chdir(project)
    return project


def study(project: Path, name: str) -> Study:
    return load_study(read_yaml(project / name), project, [name])


def test_the_commands_between_the_files_work(
    followed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        line for kind, text in BLOCK.findall(PAGE) if kind == "sh" for line in text.split("\n")
    ]
    commands = [shlex.split(line) for line in lines if line]
    assert len(commands) >= 5
    for command in commands:
        assert command[0] == "personae"
        assert main(command[1:]) == 0, command
    said = capsys.readouterr().out
    assert "no problems found" in said
    assert "You are the harbour pilot of a narrow channel." in said
    assert "smollm2_135m" in said


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_of_the_page_loads(followed: Path, name: str) -> None:
    assert study(followed, name).config.study == name.removesuffix(".yaml")


def test_a_study_of_the_page_is_as_small_as_the_demo(followed: Path) -> None:
    mine, demo = study(followed, "my_role.yaml").config, study(followed, "config/demo.yaml").config
    for arm in ("roles", "traits", "steering", "capping", "drift"):
        ours, theirs = getattr(mine, arm).sampling, getattr(demo, arm).sampling
        assert ours == theirs
        assert ours.max_new_tokens <= 40
    assert mine.roles.names[0] == "harbour_pilot"
