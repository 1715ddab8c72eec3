"""Libraries that import files in external formats."""

import json
from pathlib import Path
from typing import Any

import pytest

from personae.personas.library import Library
from personae.workflow.config import load_config

from ..conftest import ROOT
from .foreign import Make


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
