"""Rubrics as data: the text that a chat judge reads, and the verdicts that it may give.

One file per kind of rubric below ``config/judging/rubrics``. A verdict has one or several parts:
numbers within bounds, or one of several words that each stand for a number. The score is the mean
of the parts, mapped from their bounds to the scale.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final, NamedTuple, Self, get_args

from pydantic import Field, ValidationError, model_validator

from personae.base.errors import PersonaeError
from personae.base.field_types import Slug, Strict
from personae.base.strict_yaml import read_yaml
from personae.base.validation_messages import explain
from personae.data.table_values import SCALES
from personae.judging.judge_types import RubricKind

KINDS: Final[tuple[RubricKind, ...]] = get_args(RubricKind)


class ScoreScale(Strict):
    """The scale of scores."""

    lowest: float = Field(description="Lowest score.")
    highest: float = Field(description="Highest score.")
    reversed: bool = Field(default=False, description="The highest verdict is the lowest score.")


class VerdictPart(Strict):
    """One part of a verdict."""

    name: Slug = Field(description="Name of the part.")
    lowest: float | None = Field(default=None, description="Lowest number.")
    highest: float | None = Field(default=None, description="Highest number.")
    whole: bool = Field(default=False, description="Only whole numbers.")
    words: dict[Slug, float] | None = Field(
        default=None, description="Instead of numbers: the words, and the number of each."
    )
    bands: dict[Slug, float] | None = Field(
        default=None, description="Names of ranges of numbers, with the lowest number of each."
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        numbers = (self.lowest, self.highest)
        if self.words is None and (None in numbers or not self.bounds[0] < self.bounds[1]):
            raise ValueError(f"{self.name}: give lowest < highest, or words")
        if self.words is not None and numbers != (None, None):
            raise ValueError(f"{self.name}: give lowest and highest, or words, not both")
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest number."""
        if self.words is not None:
            return min(self.words.values()), max(self.words.values())
        return float(self.lowest or 0.0), float(self.highest or 0.0)

    def label(self, value: float) -> str | None:
        """Return the name of the range in which a number lies."""
        names = [name for name, least in (self.bands or {}).items() if value >= least]
        return names[-1] if names else None

    @property
    def form(self) -> str:
        """The form of this part, as the prompt requests it."""
        if self.words is not None:
            return f"<{self.name}: {', '.join(self.words)}>"
        low, high = (f"{bound:g}" for bound in self.bounds)
        return f"<{self.name}: a {'whole ' if self.whole else ''}number from {low} to {high}>"


class Score(NamedTuple):
    """A verdict on the rubric's scale, with its parts as they were given."""

    value: float
    parts: tuple[float, ...]
    label: str | None


class RubricTemplate(Strict):
    """The rubric of one kind, as a chat judge reads it."""

    task: str = Field(description="One sentence: what is judged.")
    text: str = Field(
        description="The rubric; {target} stands for what is judged: the role, or the trait."
    )
    scale: ScoreScale = Field(description="The scale of scores.")
    verdict: list[VerdictPart] = Field(
        min_length=1, description="What the last line holds, in order."
    )
    refusal: bool = Field(description="The judge may write REFUSAL; such an answer is unscored.")
    expectation: bool = Field(
        description="With log-probabilities, the score is an expectation over the numbers."
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if len({part.bounds for part in self.verdict}) > 1:
            raise ValueError("verdict: parts have different bounds; give all the same")
        number = len(self.verdict) == 1 and self.verdict[0].words is None
        if self.expectation and not number:
            raise ValueError("expectation: needs a verdict of one number; write false")
        return self

    def score(self, values: tuple[float, ...], word: str | None = None) -> Score:
        """Return the score of a verdict's parts; ``word`` is the word given for a number."""
        low, high = self.verdict[0].bounds
        mean = sum(values) / len(values)
        above = high - mean if self.scale.reversed else mean - low
        # Multiplied before it is divided: on equal scales, 57 stays 57.
        value = self.scale.lowest + above * (self.scale.highest - self.scale.lowest) / (high - low)
        label = word
        if word is None and len(values) == 1:
            label = self.verdict[0].label(values[0])
        return Score(value, values, label)


@cache
def load_rubric_templates(folder: str, base: Path = Path()) -> dict[RubricKind, RubricTemplate]:
    """Return the rubrics in the files of ``folder``, which is relative to ``base``, by kind.

    Raises
    ------
    PersonaeError
        With file, place, value and remedy; also when a scale differs from the one that the analysis
        assumes for this kind.
    """
    return {kind: _load(f"{folder}/{kind}.yaml", kind, base) for kind in KINDS}


def _load(name: str, kind: RubricKind, base: Path) -> RubricTemplate:
    data = read_yaml(base / name, name)
    if not isinstance(data, dict):
        raise PersonaeError(f"{name}: must be a record of keys, not {data!r}")
    try:
        rubric_template = RubricTemplate.model_validate(data)
    except ValidationError as error:
        raise PersonaeError("\n".join(explain(name, error, RubricTemplate, data))) from None
    declared = (rubric_template.scale.lowest, rubric_template.scale.highest)
    if declared != SCALES[kind]:
        low, high = (f"{bound:g}" for bound in SCALES[kind])
        raise PersonaeError(
            f"{name}: scale: {declared[0]:g} to {declared[1]:g}, but {kind} is analysed from {low} "
            f"to {high}; map the verdict to that scale"
        )
    return rubric_template
