"""The report page: self-contained, escaped, complete, accessible."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from html.parser import HTMLParser
from io import StringIO
from itertools import pairwise
from pathlib import Path

import jinja2
import pandas as pd
import pytest
from docutils.core import publish_parts
from markupsafe import Markup

from personae.data.data_frames import read_frame
from personae.report.judge_quality import levels, pooled_first
from personae.report.node_timings import collect_timings
from personae.report.page import duration, number, with_interval
from personae.report.page_words import explained, word
from personae.report.shown_transcripts import ShownScores, steered, take_turns
from personae.report.wording import visible
from personae.workflow.stages.registry import figure_names

from .synthetic.basics import TRAITS
from .synthetic.study import FEWER, PAGE_SCRIPTS, PROJECT, Study

SCRIPTS = sorted(path.stem for path in (PROJECT / "scripts").glob("report/plot_*.py"))


class Elements(HTMLParser):
    """Collects start tags with their attributes, and checks that tags are closed in order."""

    VOID = frozenset({"meta", "link", "img", "input", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str]]:
        """Return the attributes of every element with this tag."""
        return [attributes for name, attributes in self.found if name == tag]


def section(page: str, name: str) -> str:
    """Return the markup of one section."""
    found = re.search(rf'<section id="{name}".*?</section>', page, re.DOTALL)
    assert found is not None
    return found[0]


def plain(markup: str) -> str:
    """Return the text between tags, with single spaces."""
    return " ".join(re.sub(r"<[^>]*>", " ", markup).split())


@pytest.fixture
def elements(page: str) -> Elements:
    """Return the page's elements."""
    return Elements(page)


def test_the_page_is_well_formed_and_ids_are_unique(elements: Elements) -> None:
    assert elements.open == []
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert sorted(set(ids)) == sorted(ids)
    targets = [a["href"][1:] for a in elements.all("a") if a["href"].startswith("#")]
    assert set(targets) <= set(ids)


def test_the_page_is_self_contained(page: str, elements: Elements) -> None:
    scripts = [attributes for attributes in elements.all("script") if not attributes]
    (policy,) = [a["content"] for a in elements.all("meta") if "Content-Security" in str(a)]
    assert len(re.findall("'sha256-", policy)) == len(scripts) == len(PAGE_SCRIPTS)
    assert "script-src 'sha256-" in policy
    for _, attributes in elements.found:
        for key in ("src", "href", "srcset", "data", "action"):
            value = attributes.get(key, "#")
            assert value.startswith(("#", "data:", "figures/"))
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]
    assert "default-src 'none'" in page


def test_every_figure_is_embedded_with_its_finding(elements: Elements, study: Study) -> None:
    images = elements.all("img")
    assert len(images) == len(figure_names()) * len(study.models)
    for image in images:
        assert len(image["alt"]) > 40
        content = base64.b64decode(image["src"].removeprefix("data:image/svg+xml;base64,"))
        assert content.lstrip().startswith(b"<?xml")


def test_files_of_every_figure_lie_beside_the_page(elements: Elements, study: Study) -> None:
    linked = {a["href"] for a in elements.all("a") if a["href"].startswith("figures/")}
    assert len(linked) == 3 * len(figure_names()) * len(study.models)
    for place in linked:
        assert (study.report.parent / place).stat().st_size > 10


def test_terms_are_explained_where_they_stand(elements: Elements, page: str) -> None:
    asked = {a["popovertarget"] for a in elements.all("button") if "popovertarget" in a}
    defined = {a["id"]: a for a in elements.all("div") if "popover" in a}
    assert asked <= set(defined)
    for term in ("null", "band", "percentile", "reading", "participation-ratio", "nats", "kappa"):
        assert f"word-{term}" in asked
    assert explained("2 nats & nulls") == Markup(f"2 {word('nats')} &amp; {word('null', 'nulls')}")


def test_findings_come_first_and_the_scorecard_holds_every_claim(
    page: str, elements: Elements
) -> None:
    sections = [attributes["id"] for attributes in elements.all("section")]
    assert sections[:2] == ["found", "scorecard"]
    rows = [a for a in elements.all("details") if "data-verdict" in a]
    counts = re.findall(r"<strong>(\d+)</strong>", page)
    assert len(rows) == sum(map(int, counts))


def test_headings_do_not_skip_a_level(elements: Elements) -> None:
    levels = [int(tag[1]) for tag, _ in elements.found if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_model_text_is_escaped(page: str) -> None:
    assert "&lt;b&gt;more&lt;/b&gt;" in page
    assert "<b>" not in re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)


def test_invisible_characters_are_escaped() -> None:
    assert visible("a\x00b \u202etxet\u202c \ufeff") == "a[U+0000]b [U+202E]txet[U+202C] [U+FEFF]"
    assert visible("tab\tline\n \u05d0 \U0001f469\u200d\U0001f4bb") == (
        "tab\tline\n \u05d0 \U0001f469\u200d\U0001f4bb"
    )
    assert visible(3) == 3
    shown = jinja2.Environment(autoescape=True, finalize=visible).from_string(
        "{{ x }}{{ y | safe }}"
    )
    assert shown.render(x="<\x00>", y="<b>\u202e</b>") == "&lt;[U+0000]&gt;<b>[U+202E]</b>"


def test_transcripts_show_plain_steered_and_capped_in_turn(page: str) -> None:
    titles = re.findall(r'<article class="transcript">\s*<h3>([^<]+)', page)
    kinds = [title.split(":")[0] for title in titles[:4]]
    assert kinds == [
        "Steering",
        "Capping, role prompt",
        "Capping, persona jailbreak",
        "Conversation, turn 5",
    ]
    assert "Random direction, +2" in page
    assert "Capped, layers 3\u20134, p25" in page


def test_the_page_shows_the_agreement_between_judges(page: str) -> None:
    text = plain(section(page, "judges"))
    assert "likelihood and embedding labelled set trait 0.50 [0.30, 0.70] 0.50 [0.30, 0.70]" in text
    # On the study's own responses as well, with n and what one of them left unscored.
    assert "likelihood and embedding alpha sweep trait 0.50 [0.30, 0.70]" in text
    assert "1234 4" in text
    assert "likelihood and embedding alpha sweep trait high high: 71, low: 72" in text
    assert "likelihood and embedding alpha sweep trait low unscored: 73" in text


def test_the_page_shows_biases_and_unscored_responses(page: str) -> None:
    text = plain(section(page, "judges"))
    assert "embedding trait length 0.10 [\u22120.10, 0.30] 20" in text
    assert re.search(
        r"likelihood alpha sweep trait \(offline\) \d+\.\d\d \(38\.00 to 44\.00\)", text
    )
    assert "empty response" in text
    assert "0.85 (0.82 to 0.88)" in text


def test_offline_judges_are_described(page: str) -> None:
    text = plain(page)
    assert "likelihood offline" in text
    assert "Judge likelihood Offline: a likelihood ratio under the weights of" in text
    assert "Judge embedding Offline: similarity to labelled examples" in text
    assert "not read the rubric" in text


def test_counts_of_levels_omit_labels_and_empty_cells() -> None:
    row = {"judge": "a", "arm": "roles", "rubric": "trait", "target": "*"}
    cells = [
        {**row, "against": "b", "label": "low", "predicted": "low", "n": 4},
        {**row, "against": "b", "label": "high", "predicted": "unscored", "n": 1},
        {**row, "against": "b", "label": "high", "predicted": "low", "n": 2},
        {**row, "against": "b", "label": "low", "predicted": "high", "n": 0},
        {**row, "against": "the labels", "label": "low", "predicted": "low", "n": 9},
    ]
    found = levels(pd.DataFrame(cells))
    assert list(zip(found.label, found.given, strict=True)) == [
        ("high", "low: 2, unscored: 1"),
        ("low", "low: 4"),
    ]
    assert levels(pd.DataFrame(cells[-1:])).empty


def test_agreement_over_all_targets_comes_first_and_a_rubric_without_targets_once() -> None:
    keys = [
        ("a", "trait", "formal"), ("a", "trait", "*"), ("a", "trait", "poetic"),
        ("a", "coherence", ""), ("a", "coherence", "*"), ("b", "trait", "formal"),
        ("b", "trait", "*"),
    ]  # fmt: skip
    found = pooled_first(pd.DataFrame(keys, columns=["judge", "rubric", "target"]))
    assert [tuple(row) for row in found.itertuples(index=False)] == [
        ("a", "trait", "*"), ("a", "trait", "formal"), ("a", "trait", "poetic"),
        ("a", "coherence", "*"), ("b", "trait", "*"), ("b", "trait", "formal"),
    ]  # fmt: skip


def test_an_undefined_number_has_no_interval() -> None:
    nan = float("nan")
    assert with_interval(0.5, 0.25, 1.0) == "0.50 [0.25, 1.00]"
    assert with_interval(nan, nan, nan) == "\u2013"


def test_the_page_states_models_personas_and_counts(page: str) -> None:
    for text in (
        "Good model",
        "12 roles",
        "float32",
        "e" * 64,
        "numpy 2.4",
        "likelihood (primary)",
        f"<dt>Less than asked for</dt><dd>{FEWER}</dd>",
    ):
        assert text in page


def test_unscored_answers_show_their_reason(study: Study) -> None:
    folder = "steering/poetic/alpha_sweep"
    table = read_frame(study.table("good", f"{folder}/scores"), "scores")
    table["score"], table["reason"] = float("nan"), "refusal"
    responses = read_frame(study.table("good", f"{folder}/responses"), "steered_responses")
    effects = read_frame(study.table("good", f"{folder}/effects"), "steering_effects")
    first = next(steered(responses, ShownScores(table), effects, 50.0))
    assert first.answers[0].scores == ["trait unscored (refusal)", "coherence unscored (refusal)"]


def test_transcripts_alternate_between_groups(study: Study) -> None:
    folder = "steering/{}/alpha_sweep"
    paths = [study.table("good", f"{folder.format(t)}/responses") for t in TRAITS]
    responses = read_frame(paths, "steered_responses")
    scores = ShownScores(
        read_frame(study.table("good", f"{folder.format('poetic')}/scores"), "scores")
    )
    effects = read_frame(
        study.table("good", f"{folder.format('poetic')}/effects"), "steering_effects"
    )
    groups = [steered(responses, scores, effects, 50.0), iter(())]
    assert len(take_turns(groups, 2)) == 2


def test_timings_are_summed_by_rule_in_the_order_of_stages(study: Study) -> None:
    timings = collect_timings([study.folder / model / "benchmarks" for model in study.models])
    assert timings[0].rule == "prepare_model"
    generate = next(t for t in timings if t.rule == "generate_role_responses")
    assert (generate.nodes, generate.seconds, generate.longest) == (2, 7.0, 3.5)
    assert next(t for t in timings if t.rule == "compute_axis").memory == 0.0


def test_figures_count_as_one_stage_at_the_end(tmp_path: Path) -> None:
    for rule in ("plot_drift", "prepare_model"):
        (tmp_path / f"{rule}.tsv").write_text("s\tmax_rss\n1.0\t2.0\n", "utf-8")
    assert [t.arm for t in collect_timings([tmp_path])] == ["Models", "Figures and report"]


def test_numbers_and_durations() -> None:
    assert number(-0.126) == "\u22120.13"
    assert number(None) == number(float("nan")) == "\u2013"
    assert number(-0.0) == number(-0.004) == "0.00"
    assert number(12345.0) == "12,345"
    assert duration(3.21) == "3.2 s"
    assert duration(125) == "2 min 05 s"
    assert duration(7260) == "2 h 01 min"


def test_text_has_contrast_in_light_and_dark_mode() -> None:
    css = (PROJECT / "scripts/personae/report/page.css").read_text("utf-8")
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
        for block in re.findall(r":root \{(.*?)\}", css, re.S)[:2]
    )
    for colors in (light, dark):
        for text, ground in (
            ("ink", "paper"),
            ("muted", "paper"),
            ("muted", "ground"),
            ("accent", "ground"),
            ("good", "good-soft"),
            ("bad", "bad-soft"),
            ("none", "none-soft"),
            ("ink", "note"),
        ):
            assert contrast(colors[text], colors[ground]) >= 4.5, (text, ground)


def contrast(one: str, other: str) -> float:
    """Return the WCAG contrast ratio of two hex colours."""

    def luminance(color: str) -> float:
        channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", figure_names())
def test_every_figure_has_a_script_and_a_plain_caption(name: str) -> None:
    assert f"plot_{name}" in SCRIPTS
    caption = (PROJECT / f"rules/report/plot_{name}.rst").read_text("utf-8")
    assert not re.search(r"``|\*\*|::|\{\{", caption)


def test_no_script_of_the_report_imports_torch_or_pyplot() -> None:
    modules = [*SCRIPTS, "build_scorecard", "write_report"]
    code = (
        f"import sys, {', '.join(f'scripts.report.{m}' for m in modules)}\n"
        "print([m for m in ('torch', 'transformers', 'matplotlib.pyplot') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_the_library_card_is_on_the_page(page: str) -> None:
    section = re.search(r'<section id="library".*?</section>', page, re.DOTALL)
    assert section is not None
    assert "roles 12" in section[0]
    assert "frugal" in section[0]
    assert "0.75" in section[0]


@pytest.mark.parametrize(
    "path", sorted((PROJECT / "rules/report").glob("*.rst")), ids=lambda path: path.stem
)
def test_captions_are_plain_text_that_is_valid_markup_too(path: Path) -> None:
    """Snakemake's report renders the same files as reStructuredText."""
    text = re.sub(r"\{\{.*?\}\}", "study", path.read_text("utf-8"))
    warnings = StringIO()
    settings = {"warning_stream": warnings, "report_level": 2}
    publish_parts(text, writer="html", settings_overrides=settings)
    assert warnings.getvalue() == ""
