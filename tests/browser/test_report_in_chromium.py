"""The report in a browser: rendering, requests, dark mode, filters and printing."""

from __future__ import annotations

from pathlib import Path

import pytest

from personae.workflow.stages.registry import figure_names

from .driver import Browser

VISIBLE = """
return [...document.querySelectorAll('#scorecard tr[data-verdict]')]
  .filter(row => row.offsetParent !== null).map(row => row.dataset.verdict);
"""


def test_the_page_opens_without_console_messages_or_requests(report: Browser) -> None:
    assert report.run("return document.readyState") == "complete"
    assert report.log("browser") == []
    outside = [url for url in report.requests() if not url.startswith(("file:", "data:"))]
    assert outside == []


def test_requests_and_console_messages_are_detected(chromium: Browser, tmp_path: Path) -> None:
    page = tmp_path / "leaky.html"
    page.write_text("<img src='http://127.0.0.1:9/x.png'><script>console.error('no')</script>")
    chromium.log("browser")
    chromium.log("performance")
    chromium.open(page.as_uri())
    assert "http://127.0.0.1:9/x.png" in chromium.requests()
    assert any("no" in entry["message"] for entry in chromium.log("browser"))


def test_every_figure_is_drawn(report: Browser) -> None:
    images = report.run(
        "return [...document.images].map(i => [i.complete, i.naturalWidth, i.width, i.height])"
    )
    assert len(images) == len(figure_names())
    for complete, natural, width, height in images:
        assert complete
        assert natural > 0
        assert width > 400
        assert height > 150


@pytest.mark.parametrize("width", [1280, 760, 390])
def test_nothing_overflows_horizontally(report: Browser, width: int) -> None:
    report.resize(width, 900)
    assert report.run("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(
    "verdict", ["reproduced", "not-reproduced", "inconclusive", "check-passed"]
)
def test_the_scorecard_can_be_filtered_by_verdict(report: Browser, verdict: str) -> None:
    everything = report.run(VISIBLE)
    report.run(f"document.querySelector('label[for=show-{verdict}]').click()")
    assert report.run(VISIBLE) == [v for v in everything if v == verdict]
    report.run("document.querySelector('label[for=show-all]').click()")
    assert report.run(VISIBLE) == everything


def test_dark_mode_has_a_dark_page_with_light_figures(report: Browser) -> None:
    ground = "return getComputedStyle(document.body).backgroundColor"
    light = report.run(ground)
    dark = {"name": "prefers-color-scheme", "value": "dark"}
    report.command("Emulation.setEmulatedMedia", features=[dark])
    assert report.run(ground) != light
    picture = "return getComputedStyle(document.querySelector('.picture')).backgroundColor"
    assert report.run(picture) == "rgb(255, 255, 255)"


def test_printing_includes_the_figures(report: Browser) -> None:
    pdf = report.print()
    assert pdf.startswith(b"%PDF")
    assert len(pdf) > 50_000


def test_a_screenshot_is_not_blank(report: Browser, tmp_path: Path) -> None:
    report.screenshot(tmp_path / "report.png")
    assert (tmp_path / "report.png").stat().st_size > 20_000


def test_keyboard_users_can_skip_to_the_scorecard(report: Browser) -> None:
    assert report.run("return document.querySelector('a').getAttribute('href')") == "#scorecard"
    regions = "return [...document.querySelectorAll('.scroll')]"
    assert report.run(f"{regions}.every(region => region.tabIndex === 0 && region.ariaLabel)")
