"""The report in a browser: rendering, requests, interaction, permalinks, dark, narrow, print."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

import pytest

from personae.workflow.stages.registry import figure_names
from tests.unit.report.synthetic.study import Study

from .driver import Browser

SECONDS = 60.0
VISIBLE = """
return [...document.querySelectorAll('#scorecard details[data-verdict]')]
  .filter(claim => claim.offsetParent !== null).map(claim => claim.dataset.verdict);
"""
PANEL = "return document.getElementById('{}-panel').textContent"
ROLES = "return document.querySelectorAll('#map-app svg circle, #map-app svg path').length"


def eventually(browser: Browser, script: str, wanted: str = "") -> Any:
    """Return what a script returns as soon as that is true, or holds the wanted words."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        found = browser.run(script)
        if found and (not wanted or wanted in str(found)):
            return found
        time.sleep(0.1)
    raise AssertionError(f"not in {SECONDS:g} s: {wanted or script}; last {found!r:.300}")


def choose(browser: Browser, control: str, value: str) -> None:
    """Set a control as a reader does, and tell the page."""
    browser.run(
        f"const c = document.getElementById('{control}'); c.value = '{value}';"
        "c.dispatchEvent(new Event('input', {bubbles: true}))"
    )


def test_the_page_opens_without_console_messages_or_requests(report: Browser) -> None:
    assert report.run("return document.readyState") == "complete"
    eventually(report, ROLES)
    for part in ("steering", "capping", "transcripts", "responses"):
        report.run(f"document.getElementById('{part}').scrollIntoView()")
        eventually(report, f"return document.getElementById('{part}-app').children.length > 1")
    eventually(report, "return document.getElementById('responses-list').children.length")
    assert report.log("browser") == []
    outside = [
        url for url in report.requests() if not url.startswith(("file:", "data:", "chrome:"))
    ]
    assert outside == []


def test_requests_and_console_messages_are_detected(chromium: Browser, tmp_path: Path) -> None:
    page = tmp_path / "leaky.html"
    page.write_text("<img src='http://127.0.0.1:9/x.png'><script>console.error('no')</script>")
    chromium.log("browser")
    chromium.log("performance")
    chromium.open(page.as_uri())
    assert "http://127.0.0.1:9/x.png" in chromium.requests()
    assert any("no" in entry["message"] for entry in chromium.log("browser"))


def test_a_link_opens_the_group_of_a_figure_which_can_be_enlarged(
    report: Browser, study: Study
) -> None:
    assert report.run("return document.querySelectorAll('.figure-group[open]').length") == 0
    report.open(f"{study.report.as_uri()}#good-drift")
    groups = (
        "return [...document.querySelectorAll('.figure-group[open] h3')].map(h => h.textContent)"
    )
    assert eventually(report, groups)[0] == "Persona drift"
    width = "return document.querySelector('#good-drift img').clientWidth"
    narrow = report.run(width)
    report.run("document.querySelector('#good-drift .enlarge').click()")
    assert report.run(width) > 1.3 * narrow


def test_every_figure_is_drawn(report: Browser) -> None:
    report.run("for (const group of document.querySelectorAll('.figure-group')) group.open = true")
    images = report.run(
        "return [...document.images].map(i => [i.complete, i.naturalWidth, i.width, i.height])"
    )
    assert len(images) == len(figure_names())
    for complete, natural, width, height in images:
        assert complete
        assert natural > 0
        assert width > 300
        assert height > 150


@pytest.mark.parametrize("width", [1280, 760, 400])
def test_nothing_overflows_horizontally(report: Browser, width: int) -> None:
    report.resize(width, 900)
    eventually(report, ROLES)
    assert report.run("return document.documentElement.scrollWidth") <= width


def test_the_first_screen_says_what_was_found(report: Browser) -> None:
    places = report.run(
        "return [...document.querySelectorAll('#found .counts li, #found figure h3')]"
        ".map(e => e.getBoundingClientRect().bottom)"
    )
    assert len(places) == 6 + 3
    assert max(places) < 900


@pytest.mark.parametrize("verdict", ["reproduced", "inconclusive", "not-testable-here"])
def test_the_scorecard_can_be_filtered_by_verdict(report: Browser, verdict: str) -> None:
    everything = report.run(VISIBLE)
    report.run(f"document.querySelector('label[for=show-{verdict}]').click()")
    assert report.run(VISIBLE) == [v for v in everything if v == verdict]
    report.run("document.querySelector('label[for=show-all]').click()")
    assert report.run(VISIBLE) == everything


def test_claims_are_found_by_their_words(report: Browser) -> None:
    choose(report, "claim-search", "PC 1 middle")
    found = report.run(VISIBLE)
    assert 0 < len(found) < 10
    assert f"{len(found)} of" in report.run(
        "return document.getElementById('claim-count').textContent"
    )


def test_a_link_opens_a_claim(report: Browser, study: Study) -> None:
    claim = report.run("return document.querySelectorAll('details.claim')[5].id")
    report.open(f"{study.report.as_uri()}#{claim}")
    assert report.run(
        "return [...document.querySelectorAll('details.claim[open]')].map(c => c.id)"
    ) == [claim]


def test_a_role_that_is_searched_for_is_described(report: Browser) -> None:
    eventually(report, ROLES)
    choose(report, "map-search", "ghost")
    said = eventually(report, PANEL.format("map"), "lives as a ghost")
    assert "Role adherence" in said
    assert "null" not in said
    assert "ghost answer" in said


def test_hovering_over_a_role_describes_it(report: Browser) -> None:
    eventually(report, ROLES)
    x, y = report.run(
        "document.getElementById('map').scrollIntoView({behavior: 'instant'});"
        'const p = document.querySelector(\'#map-app svg[aria-label="Persona space"] circle, '
        "#map-app svg [aria-label=dot] path').getBoundingClientRect();"
        "return [p.x + p.width / 2, p.y + p.height / 2]"
    )
    report.command("Input.dispatchMouseEvent", type="mouseMoved", x=x - 2, y=y)
    report.command("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    assert "projection on the axis" in eventually(report, PANEL.format("map"), "projection")
    assert eventually(report, "return document.querySelector('[aria-label=tip] text')?.textContent")


def test_traits_are_on_the_map_and_have_a_space_of_their_own(report: Browser, study: Study) -> None:
    eventually(report, ROLES)
    few = report.run(ROLES)
    choose(report, "map-kind", "all")
    eventually(report, f"{ROLES} > {few}")
    choose(report, "map-space", "traits")
    caption = "return document.querySelector('#map-app figcaption').textContent"
    assert "vectors" in eventually(report, caption)
    report.open("about:blank")
    report.open(f"{study.report.as_uri()}#map?name=poetic")
    assert "Trait vector" in eventually(report, PANEL.format("map"), "Trait vector")
    assert "poetic" in report.run("return document.querySelector('#map-app svg').textContent")


def test_models_are_beside_each_other(two_models: Study, chromium: Browser) -> None:
    chromium.resize(1280, 900)
    chromium.open(two_models.report.as_uri())
    tops = (
        "return [...document.querySelectorAll('#map-app figure')]"
        ".map(f => f.getBoundingClientRect()).map(r => [r.left, r.top])"
    )
    (left, top), (right, other) = eventually(chromium, tops)
    assert top == other
    assert right > left + 300
    choose(chromium, "map-search", "ghost")
    rings = "return document.querySelectorAll('#map-app svg circle[r=\"11\"]').length"
    assert eventually(chromium, rings) == 2


def test_another_component_moves_the_roles(report: Browser) -> None:
    label = "return document.querySelector('#map-app svg').textContent"
    eventually(report, label, "component 1")
    choose(report, "map-x", "2")
    eventually(report, label, "component 3")


@pytest.mark.parametrize(
    ("part", "words"), [("steering", "coefficient"), ("capping", "Layers 2\u20135, p1")]
)
def test_a_cell_opens_its_responses(report: Browser, part: str, words: str) -> None:
    eventually(report, f"return document.querySelector('#{part}-app .grid button') !== null")
    label = report.run(
        f"const b = document.querySelector('#{part}-app .grid button'); b.click();"
        "return b.getAttribute('aria-label')"
    )
    assert "95% interval" in label
    said = eventually(report, PANEL.format(part), words)
    assert "answer" in said or "reply" in said or "No responses" not in said


def test_transcripts_compare_and_have_a_permalink(report: Browser, study: Study) -> None:
    cases = "return [...document.getElementById('transcripts-case').options].map(o => o.value)"
    report.run("document.getElementById('transcripts').scrollIntoView()")
    last = eventually(report, cases)[-1]
    report.open("about:blank")
    report.open(f"{study.report.as_uri()}#transcripts?model=good&arm=conversations&case={last}")
    turns = "return document.querySelectorAll('#transcripts-turns .answer').length"
    assert eventually(report, turns) >= 2
    assert report.run("return document.getElementById('transcripts-case').value") == last
    assert report.run("return document.querySelector('#transcripts-app svg') !== null")
    many = report.run(turns)
    report.run("document.querySelector('#transcripts-app input[type=checkbox]').click()")
    assert report.run(turns) == many / 2


def test_tokens_are_shaded_and_the_link_keeps_by_what(report: Browser, study: Study) -> None:
    link = "#transcripts?model=good&arm=steering&case=poetic/q00/0&shade=poetic"
    report.open("about:blank")
    report.open(f"{study.report.as_uri()}{link}")
    tokens = "return document.querySelectorAll('#transcripts-turns .token').length"
    assert eventually(report, tokens) > 4
    titles = report.run(
        "return [...document.querySelectorAll('#transcripts-turns .token')].map(t => t.title)"
    )
    assert titles[:2] == ["poetic 0.00", "poetic 1.00"]
    paints = report.run(
        "return [...document.querySelectorAll('#transcripts-turns .token')]"
        ".map(t => t.style.backgroundColor)"
    )
    assert len(set(paints)) > 1
    assert "trait vector poetic" in report.run(
        "return document.getElementById('transcripts-key').textContent"
    )
    settings = report.run(
        "return [...document.querySelectorAll('#transcripts-turns .answer h4')]"
        ".map(h => h.textContent)"
    )
    assert settings[0] == "plain"
    assert any("steered" in name for name in settings)
    assert report.run("return document.querySelector('.drift-plot svg') !== null")
    choose(report, "transcripts-shade", "none")
    assert report.run(tokens) == 0
    choose(report, "transcripts-shade", "axis")
    again = report.run("return document.querySelector('#transcripts-app a.quiet').href")
    assert "shade=axis" in again


def test_a_term_opens_its_definition(report: Browser) -> None:
    shown = "return [...document.querySelectorAll(':popover-open')].map(p => p.id)"
    assert report.run(shown) == []
    report.run("document.querySelector('#capping button.word').click()")
    assert report.run(shown) == ["word-projection"]


def test_panels_are_stacked_on_a_phone(report: Browser) -> None:
    report.resize(400, 900)
    report.run("for (const group of document.querySelectorAll('.figure-group')) group.open = true")
    stacked = "return document.querySelectorAll('.picture:has(> .crops)').length"
    assert eventually(report, stacked) > 8
    sizes = report.run(
        "return [...document.querySelectorAll('.crops')].map(c => [...c.children].map(p => "
        "[p.getBoundingClientRect().left, p.getBoundingClientRect().top, p.clientHeight]))"
    )
    for parts in sizes:
        assert len({left for left, *_ in parts}) == 1
        assert all(b[1] >= a[1] + a[2] for a, b in itertools.pairwise(parts))
    report.resize(1280, 900)
    hidden = "return [...document.querySelectorAll('.crops')].every(c => c.offsetParent === null)"
    assert eventually(report, hidden)


def test_responses_are_filtered_by_role_disagreement_and_words(
    report: Browser, study: Study
) -> None:
    report.open(f"{study.report.as_uri()}#responses?arm=roles&subject=ghost")
    count = "return document.getElementById('responses-count').textContent"
    eventually(report, count, "8 of")
    choose(report, "responses-apart", "50")
    eventually(report, count, "1 of")
    choose(report, "responses-apart", "0")
    choose(report, "responses-search", "q03")
    eventually(report, count, "1 of")
    link = report.run("return document.querySelector('#responses-list a').getAttribute('href')")
    report.open("about:blank")
    report.open(f"{study.report.as_uri()}{link}")
    eventually(report, count, "1 of")


def test_dark_mode_has_a_dark_page_with_light_figures(report: Browser) -> None:
    ground = "return getComputedStyle(document.body).backgroundColor"
    light = report.run(ground)
    dark = {"name": "prefers-color-scheme", "value": "dark"}
    report.command("Emulation.setEmulatedMedia", features=[dark])
    assert report.run(ground) != light
    picture = "return getComputedStyle(document.querySelector('.picture')).backgroundColor"
    assert report.run(picture) == "rgb(255, 255, 255)"
    ink = "return getComputedStyle(document.querySelector('#map-app svg')).color"
    eventually(report, ink, "rgb(231, 235, 241)")


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
    controls = "return [...document.querySelectorAll('.app select, .app input')]"
    assert report.run(f"{controls}.every(control => control.labels.length === 1)")


def test_the_page_is_small_and_short(report: Browser, study: Study) -> None:
    assert study.report.stat().st_size < 6_000_000
    for part in ("transcripts", "responses"):
        report.run(f"document.getElementById('{part}').scrollIntoView()")
    eventually(report, "return document.getElementById('responses-list').children.length")
    assert report.run("return document.documentElement.scrollHeight") < 25_000
