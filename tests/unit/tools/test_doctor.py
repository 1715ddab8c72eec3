"""``personae doctor``: problems are found, named with a remedy, and keys are not shown."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from personae.tools import doctor_cli
from personae.tools.cli import main

STUDY = """
study: mine
models: [smollm2_135m]
roles: {{names: [pirate, wizard]}}
endpoints:
  far: {{base_url: "{url}", model: m, key_variable: FAR_KEY}}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a study whose endpoint nobody serves, on a machine without Slurm."""
    (tmp_path / "mine.yaml").write_text(STUDY.format(url="http://127.0.0.1:9/v1"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(doctor_cli.shutil, "which", lambda program: None)
    monkeypatch.delenv("FAR_KEY", raising=False)
    return tmp_path


def test_a_sound_machine_has_nothing_to_mend(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--offline"]) == 0
    said = capsys.readouterr().out
    for about in ("Python", "torch", "vLLM", "memory", "disk", "umask", "Slurm", "graphviz"):
        assert about in said
    assert "hub" not in said
    assert said.endswith("nothing to mend\n")


def test_each_problem_has_its_remedy(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil.disk_usage(here)._replace(free=10**8)
    monkeypatch.setattr(doctor_cli.shutil, "disk_usage", lambda path: full)
    monkeypatch.setattr(doctor_cli, "_HUB", "http://127.0.0.1:9")
    assert main(["doctor", "--study", "mine.yaml"]) == 1
    said = capsys.readouterr().out
    assert "! disk       0 GB free here" in said
    assert "set FAR_KEY, or put it into .env" in said
    assert "! far        127.0.0.1:9 is not reached (ConnectError)" in said
    assert "  hub        127.0.0.1:9 is not reached" in said
    assert said.endswith("3 to mend\n")


def test_a_key_is_present_and_not_shown(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / ".env").write_text("FAR_KEY=sk-very-secret\n")
    assert main(["doctor", "--offline", "--study", "mine.yaml"]) == 0
    said = capsys.readouterr().out
    assert "key in FAR_KEY" in said
    assert "secret" not in said


def test_partitions_of_a_cluster_are_listed(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = here / "bin"
    tools.mkdir()
    sinfo = tools / "sinfo"
    sinfo.write_text("#!/bin/sh\necho 'gpu* gpu:4 up'\n")
    sinfo.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    monkeypatch.setattr(doctor_cli.shutil, "which", lambda name: name if name == "sinfo" else None)
    assert main(["doctor", "--offline"]) == 0
    assert "Slurm      gpu* gpu:4 up" in capsys.readouterr().out
    sinfo.write_text("#!/bin/sh\nexit 1\n")
    assert main(["doctor", "--offline"]) == 1
    assert "ask the cluster's staff" in capsys.readouterr().out
