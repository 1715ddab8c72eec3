"""Render the report page with Jinja2."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import pandas as pd

from personae.report.embedded_data import EmbeddedData
from personae.report.embedded_figures import FigureView
from personae.report.judge_quality import OFFLINE_LABELS, JudgeTables
from personae.report.node_timings import Timing
from personae.report.page_words import WORDS, explained, word
from personae.report.run_facts import ModelFacts
from personae.report.scorecard.all_claims import DIGEST, OPEN_CLAIMS
from personae.report.scorecard_view import (
    claims_by_paper,
    headlines,
    multiplicity,
    verdict_counts,
)
from personae.report.shown_transcripts import ArmComparison
from personae.report.wording import capital, count, listed, readable, typeset, visible
from personae.workflow.stages.registry import figure_sections


class PageScript:
    """A script that the page embeds as it is, not escaped and with all of its characters."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __html__(self) -> str:
        return self._text

    @property
    def source(self) -> str:
        """The expression by which a content-security policy allows it."""
        digest = base64.b64encode(hashlib.sha256(self._text.encode("utf-8")).digest())
        return f"'sha256-{digest.decode('ascii')}'"


HIGHLIGHTS = ("persona_space", "steering", "capping")
"""Figures that the page shows first."""


@dataclass(frozen=True)
class ModelPart:
    """Content of the page about one model.

    Attributes
    ----------
    name, display_name
        Name in the model table, and name to display.
    figures
        Figures by name.
    transcripts
        Responses side by side.
    judges
        Tables about the judges.
    data
        Data of the interactive parts.
    facts
        Provenance.
    """

    name: str
    display_name: str
    figures: Mapping[str, FigureView]
    transcripts: Sequence[ArmComparison]
    judges: JudgeTables
    data: Sequence[EmbeddedData]
    facts: ModelFacts

    @property
    def sections(self) -> list[tuple[str, list[FigureView]]]:
        """Return headings with their figures, in order; experiments that are off have none."""
        drawn = {
            title: [self.figures[name] for name in names if name in self.figures]
            for title, names in figure_sections().items()
        }
        return [(title, figures) for title, figures in drawn.items() if figures]


@dataclass(frozen=True)
class Report:
    """Content of the page.

    Attributes
    ----------
    title
        Title of the study.
    models
        One part per model.
    scorecard
        Table ``scorecard``.
    timings
        Time per rule.
    rollouts
        Number of responses per arm, with a description.
    library
        Table ``library_card``.
    roles, traits
        Personas; roles without the default Assistant.
    fewer_than_asked
        One line per setting that some personas cannot meet.
    judges
        Primary judge, then the second judge and sampled judges, if any.
    provenance
        Provenance of the page itself.
    """

    title: str
    models: Sequence[ModelPart]
    scorecard: pd.DataFrame
    timings: Sequence[Timing]
    rollouts: Sequence[tuple[str, int]]
    library: pd.DataFrame
    roles: Sequence[str]
    traits: Sequence[str]
    fewer_than_asked: Sequence[str]
    judges: Sequence[str]
    provenance: Mapping[str, str]


def render(report: Report, page: str, style: str, scripts: Sequence[str]) -> str:
    """Render the template ``page``; all text is escaped.

    Parameters
    ----------
    page, style
        Paths of the Jinja2 template and of the CSS to embed.
    scripts
        Paths of the scripts to embed, in order: the page's policy lets these alone run.
    """
    embedded = [PageScript(f"\n{Path(path).read_text('utf-8')}\n") for path in scripts]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(page).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=visible,
    )
    environment.filters |= {
        "number": number, "readable": readable, "capital": capital, "duration": duration,
        "with_interval": with_interval, "slug": slug, "explained": explained,
    }  # fmt: skip
    environment.globals["word"] = word
    template = environment.get_template(Path(page).name)
    return template.render(
        report=report,
        style=Path(style).read_text("utf-8"),
        scripts=embedded,
        script_hashes=" ".join(script.source for script in embedded),
        highlights=HIGHLIGHTS,
        models={part.name: part.display_name for part in report.models},
        claims=claims_by_paper(report.scorecard),
        headlines=headlines(report.scorecard),
        verdicts=verdict_counts(report.scorecard),
        registry=DIGEST[:16],
        multiplicity=multiplicity(report.scorecard),
        open_claims=OPEN_CLAIMS,
        summary=summary(report),
        slowest=max((t.seconds for t in report.timings), default=0.0),
        arms=arm_totals(report.timings),
        offline=OFFLINE_LABELS,
        words={term.replace(" ", "-").lower(): (term, text) for term, text in WORDS.items()},
    )


def slug(text: str) -> str:
    """Return a text as part of an id: letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def arm_totals(timings: Sequence[Timing]) -> dict[str, float]:
    """Return the seconds of all jobs by arm, in order."""
    totals: dict[str, float] = {}
    for timing in timings:
        totals[timing.arm] = totals.get(timing.arm, 0.0) + timing.seconds
    return totals


def summary(report: Report) -> str:
    """Return one sentence with models, personas, responses and judges."""
    models = listed([part.display_name for part in report.models])
    total = sum(n for _, n in report.rollouts)
    return (
        f"{models}: {count(len(report.roles), 'role')} and the default Assistant, "
        f"{count(len(report.traits), 'trait')}, {count(total, 'response')}, scored by "
        f"{listed([f'the {judge} judge' for judge in report.judges])}."
    )


def number(value: float | None, digits: int = 2) -> str:
    """Format a number with a minus sign (none for a rounded zero); a missing number is a dash."""
    if value is None or math.isnan(value):
        return "\N{EN DASH}"
    shown = f"{value:.{digits}f}" if abs(value) < 100 else f"{value:,.0f}"
    return typeset(shown)


def with_interval(value: float, low: float, high: float) -> str:
    """Format a number with its interval; a missing number is a dash."""
    if math.isnan(value):
        return number(value)
    return f"{number(value)} [{number(low)}, {number(high)}]"


def duration(seconds: float) -> str:
    """Format seconds as ``12.3 s`` or ``4 min 05 s``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
