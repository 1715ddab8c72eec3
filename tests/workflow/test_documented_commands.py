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

from personae.inference.server.chat_requests import ChatRequest
from personae.tools.cli import main
from tests.unit.tools.test_tutorial import save_files
from tests.unit.tools.test_worked_example import follow, write_foreign_files

from .conftest import ROOT, copy_project

PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/*.md", "config/*.md", "profiles/*/*.md")
    for path in ROOT.glob(pattern)
)
CODE = re.compile(r"^(?: {4}|\t)(?=\S)(.+)$|^```(?:sh|bash)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`((?:\.venv[\w-]*/bin/)?(?:snakemake|make|python -m|personae) [^`]+)`")
ENVIRONMENT = re.compile(r"^\.venv[\w-]*/bin/")
TRIED = ("snakemake", "make", "personae", "python", "curl")
OTHERS = (
    "source", "export", "cd", "cp", "rm", "pip", "pipx", "python3", "uv", "git", "conda", "docker",
    "apt-get", "sbatch", "srun", "wget", "ssh", "rsync", "bash", "sh", "pytest",
)  # fmt: skip
UNTRIED = {
    "source .venv/bin/activate": "acts on the shell of the reader",
    "export OPENAI_API_KEY": "acts on the shell of the reader",
    "python -m pip": "installs",
    "pipx run pip-audit": "asks an index; the workflow on GitHub runs it",
}


def code_lines(text: str) -> list[str]:
    """Return the lines of the code blocks of a page."""
    return [line for block in CODE.findall(text) for line in "\n".join(block).splitlines()]


def page_text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8").replace("\\\n", " ")


def cleaned(line: str) -> str:
    """Return a command without environment, comment and pipe."""
    command = re.split(r"\s+#|\s\|\s", line.strip())[0]
    return " ".join(ENVIRONMENT.sub("", command.strip()).split())


def commands(program: str, *, spans: bool = True) -> list[str]:
    """Return the commands of one program in all pages, without comments and pipes."""
    found: dict[str, None] = {}
    for page in PAGES:
        text = page_text(page)
        inline = SPAN.findall(text.replace("\n", " ")) if spans else []
        for command in map(cleaned, [*code_lines(text), *inline]):
            if command.startswith(f"{program} ") and not command.startswith(tuple(UNTRIED)):
                found[command] = None
    return list(found)


def mentions() -> list[str]:
    """Return the commands of personae within sentences, which may lack arguments."""
    found = {cleaned(span) for page in PAGES for span in SPAN.findall(page_text(page))}
    return sorted(command for command in found if command.startswith("personae "))


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the files of both guides, and a smaller paper study."""
    root = tmp_path_factory.mktemp("documented")
    copy_project(root)
    write_foreign_files(root)
    follow(root)
    save_files(root)
    path = root / "config/paper.yaml"
    study = yaml.safe_load(path.read_text(encoding="utf-8"))
    study["models"] = ["qwen3_32b"]
    study["roles"]["count"] = study["trait_space"]["count"] = 4
    study["traits"]["names"], study["finetuning"]["traits"] = ["evil"], "none"
    path.write_text(yaml.safe_dump(study), encoding="utf-8")
    return root


def test_the_pages_hold_commands_of_every_kind() -> None:
    assert len(commands("snakemake")) > 9
    assert len(commands("personae", spans=False)) > 9
    assert len(mentions()) > 5
    assert len(commands("make")) > 5


def test_no_command_of_the_pages_is_left_out() -> None:
    lines = [line for page in PAGES for line in map(cleaned, code_lines(page_text(page)))]
    started = {line for line in lines if line.split(" ")[0] in OTHERS}
    assert {line for line in started if not line.startswith(tuple(UNTRIED))} == set()


# Snakemake's own report needs a finished study: test_reruns makes one.
@pytest.mark.parametrize("command", [one for one in commands("snakemake") if "--report" not in one])
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


@pytest.mark.parametrize("command", commands("personae", spans=False))
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
        "trace",
        "label",
        "forget",
    }
    unmade = reading & set(arguments)
    assert main(arguments) == (1 if unmade else 0)
    said = capsys.readouterr()
    assert (len(said.err.splitlines()) == 1) if unmade else said.out


@pytest.mark.parametrize("command", mentions())
def test_a_personae_command_of_a_sentence_exists(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*shlex.split(command)[1:], "--help"]) == 0
    assert "Usage" in capsys.readouterr().out


@pytest.mark.parametrize("command", commands("python"))
def test_a_documented_module_is_there(command: str) -> None:
    module, *arguments = shlex.split(command)[2:]
    assert importlib.util.find_spec(module)
    if module.startswith("personae."):
        called = [sys.executable, "-m", module, *arguments, "--help"]
        done = subprocess.run(called, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert [a for a in arguments if a.startswith("tests/") and not (ROOT / a).exists()] == []


def test_documented_requests_are_those_of_the_server() -> None:
    text = "\n".join(re.sub(r"\n +", " ", page_text(page)) for page in PAGES)
    bodies = re.findall(r"curl [^\n]*?/v1/chat/completions[^\n]*? -d '([^']+)'", text)
    assert bodies
    for body in bodies:
        ChatRequest.model_validate_json(body)


@pytest.mark.parametrize("page", PAGES)
def test_paths_that_a_page_names_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"(?<![\w/.])(?:tests|rules|scripts|profiles|envs)/[\w./-]*\w", text))
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
