"""How tests are divided among the workers of pytest-xdist."""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadScopeScheduling

FINISHED_STUDY = frozenset(
    f"tests/workflow/test_{name}.py" for name in ("endpoints", "processes", "reruns")
)
"""Files whose tests mutate one study that was run to its end."""


class ByFile(LoadScopeScheduling):  # type: ignore[misc]
    """Keep the tests of a file in one worker, and those of the finished study in one.

    Fixtures of a session are made once per worker, and running a study takes longest.
    """

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return "finished study" if path in FINISHED_STUDY else path


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile:
    """Divide by file."""
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests of the finished study, which take longest."""
    items.sort(key=lambda item: item.nodeid.partition("::")[0] not in FINISHED_STUDY)
