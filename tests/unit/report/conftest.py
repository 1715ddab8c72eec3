"""A synthetic study, built once for all tests of the report."""

from __future__ import annotations

from pathlib import Path

import pytest

from .synthetic.study import Study, score, write_page, write_study


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Build two models, one with the effects of the papers and one without any."""
    made = write_study(tmp_path_factory.mktemp("results") / "demo", {"good": 1.0, "flat": 0.0})
    score(made)
    write_page(made)
    return made


@pytest.fixture
def page(study: Study) -> str:
    """Return the text of the report."""
    return Path(study.report).read_text("utf-8")
