"""How tests are divided among the workers of pytest-xdist (``--dist loadgroup``)."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
FINISHED_STUDY = "finished_study"


# First, as pytest-xdist reads the groups in the same hook.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file in one worker, and those of the finished study in one, first.

    Fixtures of a session are made once per worker, and running a study takes longest.
    """
    for item in items:
        name = item.path.relative_to(HERE).with_suffix("").as_posix()
        shares = name.startswith("workflow/") and "project" in item.fixturenames  # type: ignore[attr-defined]
        item.add_marker(pytest.mark.xdist_group(FINISHED_STUDY if shares else name))
    items.sort(key=lambda item: _group(item) != FINISHED_STUDY)


def _group(item: pytest.Item) -> str:
    marker = item.get_closest_marker("xdist_group")
    return str(marker.args[0]) if marker else ""
