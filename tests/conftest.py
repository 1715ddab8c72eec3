"""How tests are divided among the workers of pytest-xdist."""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadScopeScheduling

FINISHED_STUDY = frozenset(
    f"tests/workflow/test_{name}.py"
    for name in ("endpoints", "needed_activations", "processes", "reruns", "tutorial")
)
"""Files whose tests use one study that was run to its end; most mutate it."""
_FIRST = "tests/workflow/test_needed_activations.py"
_REPORTS = tuple(
    f"tests/unit/report/test_{name}.py"
    for name in ("page", "page_data", "plots", "scorecard", "small_evidence", "study_comparison")
)
"""Files whose tests read the report of one synthetic study."""


class ByFile(LoadScopeScheduling):  # type: ignore[misc]
    """Keep the tests of a file in one worker, and so the files that share a study.

    Fixtures of a session are made once per worker, and running or drawing a study takes longest.
    """

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        if path in FINISHED_STUDY:
            return "finished study"
        return "report" if path in _REPORTS else path


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile:
    """Divide by file."""
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests of the finished study, which take longest; those that read it first."""
    paths = {item: item.nodeid.partition("::")[0] for item in items}
    items.sort(key=lambda item: (paths[item] not in FINISHED_STUDY, paths[item] != _FIRST))
