"""The commands of docs/tutorial.md that use results, on a finished study and a real model."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.unit.tools.test_tutorial import PAGE

from .conftest import Project
from .test_documented_commands import cleaned

pytestmark = pytest.mark.full_size

SPOKEN = "Who are you?\n\n"


def commands() -> list[str]:
    """Return the page's commands of personae that name results of the demo."""
    lines = map(cleaned, re.findall(r"^ {4}(personae .+)$", PAGE, re.MULTILINE))
    return [line for line in lines if "demo" in line or line.startswith("personae import")]


def called(project: Project, command: str) -> tuple[list[str], dict[str, str]]:
    """Return a command for the mini study, and its environment."""
    arguments = shlex.split(command.replace("demo", "mini"))[1:]
    _, environment = project.command()
    return [sys.executable, "-m", "personae.tools.cli", *arguments], environment


def test_the_page_has_commands_of_every_kind() -> None:
    names = {command.split()[1] for command in commands()}
    assert names == {"chat", "steer", "serve", "trace", "export", "import"}


def test_commands_work_in_their_order(project: Project) -> None:
    for command in commands():
        if command.startswith("personae serve"):
            continue
        arguments, environment = called(project, command)
        done = subprocess.run(
            arguments, cwd=project.root, env=environment, input=SPOKEN, capture_output=True,
            text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        assert done.stdout.strip()
    assert (project.root / "axis.parquet").is_file()


def test_a_capped_model_is_served(project: Project) -> None:
    (command,) = [one for one in commands() if one.startswith("personae serve")]
    arguments, environment = called(project, f"{command} --port 8179")
    server = subprocess.Popen(arguments, cwd=project.root, env=environment)
    try:
        assert "cap" in _reply("http://127.0.0.1:8179/", server).text
        # The model is still loading when the page is there.
        offered = _reply("http://127.0.0.1:8179/v1/models", server).json()["data"]
        assert any("+cap" in model["id"] for model in offered)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


def _reply(url: str, server: subprocess.Popen[bytes]) -> httpx.Response:
    for _ in range(240):
        if server.poll() is not None:
            pytest.fail(f"the server ended with {server.returncode}")
        try:
            return httpx.get(url).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.5)
    pytest.fail("the server did not start")


def test_trace_reaches_every_claim_of_the_finished_study(project: Project) -> None:
    """The chain of the whole scorecard is unbroken, and this checkout's code made all of it."""
    arguments, environment = called(project, "personae trace results/demo/scorecard.parquet")
    done = subprocess.run(
        arguments, cwd=project.root, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout
    assert "all as they were read" in done.stdout
    assert "the same as this checkout" in done.stdout
    assert "not that of this checkout" not in done.stdout
    assert "generate_role_responses" in done.stdout
    assert "value    engine" in done.stdout


def test_a_study_that_extends_the_finished_one_reruns_what_differs(project: Project) -> None:
    mine = Path(project.root / "mine.yaml")
    mine.write_text("extends: .test/config/demo.yaml\nstudy: mini\n", "utf-8")
    same = project.run("--cores", "2", "--dry-run", "--configfile", "mine.yaml")
    assert same.returncode == 0
    assert "Nothing to be done" in same.stdout + same.stderr
    mine.write_text(
        "extends: .test/config/demo.yaml\nstudy: mini\n"
        "roles: {names: [pirate, wizard, librarian, poet]}\n",
        "utf-8",
    )
    more = project.run("--cores", "2", "--dry-run", "--configfile", "mine.yaml")
    planned = re.findall(
        r"rule generate_role_responses:.*?role=(\w+)", more.stdout + more.stderr, re.S
    )
    mine.unlink()
    assert planned == ["poet"]
