"""Make nodes import this copy of the package."""

from __future__ import annotations

import os
from pathlib import Path


def use_package_of(scripts: Path) -> None:
    """Let nodes, and the model servers that they start, import the package in ``scripts``.

    Code digests are taken of that folder, so another installed copy must not run in its place.
    """
    paths = [str(scripts), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(path for path in paths if path))
