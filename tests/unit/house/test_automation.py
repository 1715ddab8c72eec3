"""Automation: the CI script, the GitHub workflow, the entry of the workflow catalogue."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.unit.conftest import ROOT

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
WORKFLOW = ".github/workflows/test.yml"


@pytest.mark.parametrize("name", [".ci/run", WORKFLOW])
def test_it_runs_targets_of_the_makefile(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    run = set(re.findall(r"^(?: +- run: )?make ([a-z-]+)$", text, re.MULTILINE))
    assert {"check"} < run <= TARGETS


def test_the_ci_script_runs_the_gates_and_all_tests() -> None:
    lines = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
    run = [line for line in lines if line.startswith("make ")]
    assert run[:2] == ["make check", "make test-all"]
    assert {line.split()[1] for line in run} <= TARGETS


def test_all_tests_are_in_some_target() -> None:
    """Every folder of tests is named in `test-all`, and what `test` leaves out is said."""
    recipe = MAKEFILE.partition("\ntest-all:")[2].partition("\n\n")[0]
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()} - {"__pycache__"}
    assert set(re.findall(r"tests/(\w+)", recipe)) == folders
    assert "-m" not in recipe.split()


def test_everything_runs_weekly() -> None:
    workflow = yaml.safe_load((ROOT / WORKFLOW).read_text(encoding="utf-8"))
    assert workflow[True]["schedule"]  # YAML reads "on" as true
    assert ".ci/run" in [step.get("run") for step in workflow["jobs"]["test-all"]["steps"]]


def test_the_catalogue_finds_what_it_asks_for() -> None:
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text("utf-8"))["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert set(usage["mandatory-flags"]) == {"desc", "flags"}
    assert usage["report"] is True
    for name in ("Snakefile", "config/README.md", "README.md", "LICENSE", ".test/config/demo.yaml"):
        assert (ROOT / name).is_file(), name
