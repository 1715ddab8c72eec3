"""Generated files: up to date, complete, and in agreement with the lock."""

import ast
import importlib.metadata
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from personae.tools.docgen.__main__ import main
from personae.tools.docgen.generated_files import environments, generated, readme, schema
from personae.workflow.config import StudyConfig
from tests.unit.conftest import ROOT


@pytest.mark.parametrize("name", [str(path) for path in generated(ROOT)])
def test_generated_files_are_up_to_date(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert text == generated(ROOT)[Path(name)], f"{name} is out of date; run make schema"


def test_the_command_finds_and_mends_drift(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("config", "envs", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("requirements.lock", "requirements-vllm.lock", "pyproject.toml", "Makefile"):
        shutil.copy(ROOT / name, tmp_path)
    vendored = Path("scripts/personae/report/vendor/README.md")
    (tmp_path / vendored).parent.mkdir(parents=True)
    shutil.copy(ROOT / vendored, tmp_path / vendored)
    assert main(["--check", "--root", str(tmp_path)]) == 0
    (tmp_path / "config/schema.json").write_text("{}", encoding="utf-8")
    assert main(["--check", "--root", str(tmp_path)]) == 1
    assert "config/schema.json: out of date" in capsys.readouterr().err
    assert main(["--root", str(tmp_path)]) == 0
    assert main(["--check", "--root", str(tmp_path)]) == 0


def test_a_lost_block_is_an_error() -> None:
    with pytest.raises(ValueError, match="are missing; restore them"):
        readme("# Configuration\n")


def properties(part: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every property of a schema and its definitions."""
    definitions = part.get("$defs", {}).values()
    for owner in (part, *definitions):
        yield from owner.get("properties", {}).items()


def test_every_key_is_described() -> None:
    bare = [name for name, field in properties(StudyConfig.model_json_schema())
            if not field.get("description")]  # fmt: skip
    assert bare == []


@pytest.mark.parametrize("name", ["demo", "paper", "small"])
def test_shipped_studies_satisfy_the_schema(name: str) -> None:
    study = yaml.safe_load((ROOT / f"config/{name}.yaml").read_text(encoding="utf-8"))
    jsonschema.validate(study, yaml.safe_load(schema()))


def pins() -> dict[str, str]:
    """Return the locked version of every package, by normalised name."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    return {normal(line.split("==")[0]): line.split("==")[1] for line in lines}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def declared() -> set[str]:
    """Return the packages that pyproject.toml names, for users and for developers."""
    found = project()
    requirements = found["project"]["dependencies"] + found["dependency-groups"]["dev"]
    return {normal(re.split("[<>=]", requirement)[0]) for requirement in requirements}


@pytest.mark.parametrize(
    ("name", "lock", "further"),
    [
        ("personae", "requirements.lock", []),
        ("personae_vllm", "requirements-vllm.lock", ["vllm==0.30.0"]),
    ],
)
def test_a_conda_environment_holds_what_its_lock_holds(
    name: str, lock: str, further: list[str]
) -> None:
    environment = yaml.safe_load((ROOT / f"envs/{name}.yaml").read_text(encoding="utf-8"))
    installed = list(environment["dependencies"][-1]["pip"])
    installed += (ROOT / f"envs/{name}.post-deploy.sh").read_text(encoding="utf-8").split()
    locked = [*(ROOT / lock).read_text(encoding="utf-8").split(), *further]
    pinned = [[word for word in words if "==" in word] for words in (installed, locked)]
    assert sorted(pinned[0]) == sorted(pinned[1])


def test_without_a_version_of_vllm_the_environments_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("VLLM ?= vllm\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"the line VLLM_VERSION := \.\.\. is missing"):
        environments(tmp_path)


def test_the_lock_holds_every_declared_package() -> None:
    assert declared() <= set(pins())
    assert pins()["torch"] == "2.13.0"


def test_the_lock_is_what_is_installed() -> None:
    for name in declared():
        assert importlib.metadata.version(name).split("+")[0] == pins()[name]


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def imports() -> set[str]:
    """Return the names of all foreign modules that the scripts and the package import."""
    own = {path.stem for path in (ROOT / "scripts").iterdir()}
    used = {name for path in (ROOT / "scripts").rglob("*.py") for name in imported(path)}
    return used - own - set(sys.stdlib_module_names)


def test_every_import_is_declared() -> None:
    owners = importlib.metadata.packages_distributions()
    groups = project()["project"]["optional-dependencies"]
    optional = {name for group in groups.values() for name in group}
    missing = [name for name in imports() - optional
               if not {normal(owner) for owner in owners.get(name, [])} & declared()]  # fmt: skip
    assert missing == []


def test_a_dependency_has_a_comment_exactly_if_it_is_not_imported() -> None:
    owners = importlib.metadata.packages_distributions()
    used = {normal(owner) for name in imports() for owner in owners.get(name, [])}
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.search(r"^dependencies = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    assert listed is not None
    lines = re.findall(r'"([\w.-]+)[^"]*",(  # \w+)?', listed[1])
    assert len(lines) == len(project()["project"]["dependencies"])
    assert [name for name, reason in lines if bool(reason) == (normal(name) in used)] == []
