"""A study and a project that tests may break."""

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from personae.base.strict_yaml import read_yaml
from personae.workflow.config import ConfigError, load_study

ROOT = Path(__file__).resolve().parents[2]
Problems = Callable[..., list[str]]


@pytest.fixture
def demo() -> dict[str, Any]:
    """Return the content of the demo study."""
    return copy.deepcopy(read_yaml(ROOT / "config" / "demo.yaml"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project whose config folder may be edited."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    return tmp_path


@pytest.fixture
def problems() -> Problems:
    """Return a function that gives the lines with which a study is refused."""

    def refused(study: dict[str, Any], base: Path = ROOT) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load_study(study, base)
        return str(caught.value).splitlines()

    return refused
