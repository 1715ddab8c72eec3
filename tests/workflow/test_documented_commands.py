"""Commands that the documentation names: each works as it is written, Snakemake's as dry runs."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from personae.tools.cli import main
from tests.unit.tools.test_worked_example import follow, write_foreign_files

from .conftest import ROOT, copy_project

PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/*.md", "config/*.md", "profiles/*/*.md")
    for path in ROOT.glob(pattern)
)
CODE = re.compile(r"^(?: {4}|\t)(?=\S)(.+)$|^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`((?:snakemake|make|python -m) [^`]+)`")


def commands(program: str) -> list[str]:
    """Return the commands of one program in all pages, without comments and pipes."""
    found: dict[str, None] = {}
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8").replace("\\\n", " ")
        lines = [line for block in CODE.findall(text) for line in "\n".join(block).splitlines()]
        for line in lines + SPAN.findall(text.replace("\n", " ")):
            command = re.split(r"\s+#|\s\|\s", line.strip())[0].strip()
            if command.startswith(f"{program} "):
                found[" ".join(command.split())] = None
    return list(found)


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the personas of the guide, and a smaller paper study."""
    root = tmp_path_factory.mktemp("documented")
    copy_project(root)
    write_foreign_files(root)
    follow(root)
    path = root / "config/paper.yaml"
    study = yaml.safe_load(path.read_text(encoding="utf-8"))
    study["models"] = ["qwen3_32b"]
    study["roles"]["count"] = study["trait_space"]["count"] = 4
    study["traits"]["names"], study["finetuning"]["traits"] = ["evil"], "none"
    path.write_text(yaml.safe_dump(study), encoding="utf-8")
    return root


def test_the_pages_hold_commands_of_every_kind() -> None:
    assert len(commands("snakemake")) > 9
    assert len(commands("personae")) > 9
    assert len(commands("make")) > 5


@pytest.mark.parametrize("command", commands("snakemake"))
def test_a_documented_snakemake_command_plans_jobs(documented: Path, command: str) -> None:
    arguments = shlex.split(command)[1:]
    pictured = "--rulegraph" in arguments
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PERSONAE")}
    environment["PYTHONPATH"] = str(documented / "scripts")
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *([] if pictured else ["--dry-run"]), *arguments],
        cwd=documented,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-3000:]
    assert "digraph" in said if pictured else re.search(r"^total +[1-9]", said, re.MULTILINE)


@pytest.mark.parametrize("command", commands("make"))
def test_a_documented_make_target_exists(command: str) -> None:
    for part in command.split("&&"):
        called = ["make", "--dry-run", *shlex.split(part)[1:]]
        done = subprocess.run(called, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", commands("personae"))
def test_a_documented_personae_command_is_understood(
    documented: Path,
    command: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(documented)
    arguments = shlex.split(command)[1:]
    # These read results or ask an endpoint.
    reading = {
        "--model",
        "draft",
        "export",
        "import",
        "serve",
        "chat",
        "steer",
        "project",
        "label",
        "forget",
    }
    unmade = reading & set(arguments)
    assert main(arguments) == (1 if unmade else 0)
    said = capsys.readouterr()
    assert (len(said.err.splitlines()) == 1) if unmade else said.out


@pytest.mark.parametrize("command", commands("python"))
def test_a_documented_module_is_there(command: str) -> None:
    module = shlex.split(command)[2]
    assert importlib.util.find_spec(module)


@pytest.mark.parametrize("page", PAGES)
def test_paths_that_a_page_names_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"(?<![\w/.])(?:tests|rules|scripts|profiles|envs)/[\w./-]*\w", text))
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
