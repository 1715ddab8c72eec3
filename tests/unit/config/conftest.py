"""A study and a project that tests may break."""

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from personae.base.strict_yaml import read_yaml
from personae.personas.library import Library
from personae.workflow.config import ConfigError, load_config, load_study

from .foreign import Make

ROOT = Path(__file__).resolve().parents[3]
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


@pytest.fixture
def imported(tmp_path: Path) -> Make:
    """Return a function that writes files and loads a library that imports them."""
    (tmp_path / "config").symlink_to(ROOT / "config")

    def make(files: dict[str, Any], **source: Any) -> Library:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(
                content if isinstance(content, str) else json.dumps(content), encoding="utf-8"
            )
        study = {"study": "x", "models": ["m"], "library": {"imports": [source]}}
        return Library(load_config(study).library, tmp_path)

    return make
