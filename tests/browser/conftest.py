"""The report of a synthetic study, opened in a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.unit.report.synthetic.study import Study, score, write_page, write_study

from .driver import Browser, browser, missing


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Return a study with one model that has the papers' effects."""
    made = write_study(tmp_path_factory.mktemp("results") / "demo", {"good": 1.0})
    score(made)
    write_page(made)
    return made


@pytest.fixture(scope="session")
def two_models(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Return the study with a second model of the same results."""
    folder = tmp_path_factory.mktemp("two") / "demo"
    for place in ("", "figures/"):
        for model in ("good", "flat"):
            shutil.copytree(study.folder / place / "good", folder / place / model)
    made = Study(folder, {"good": "Good model", "flat": "Flat model"})
    score(made)
    write_page(made)
    return made


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Return a headless Chromium, or skip where it is not installed."""
    if absent := missing():
        pytest.skip(f"not installed: {absent} (Debian: apt-get install chromium chromium-driver)")
    with browser(tmp_path_factory.mktemp("profile")) as session:
        yield session


@pytest.fixture
def report(study: Study, chromium: Browser) -> Browser:
    """Open the report in a new desktop window, with empty logs."""
    chromium.resize(1280, 900)
    chromium.command("Emulation.setEmulatedMedia", features=[])
    chromium.open("about:blank")
    chromium.log("browser")
    chromium.log("performance")
    chromium.open(study.report.as_uri())
    return chromium
