"""Field types shared by the records of studies, the library and the model table."""

from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
)

SLUG_PATTERN = "^[a-z0-9_]+$"
Slug = Annotated[str, StringConstraints(pattern=SLUG_PATTERN, max_length=80)]
"""A name of which a file's name is made; file systems take 255 characters."""
Percentile = Annotated[float, Field(gt=0, lt=100)]
Score = Annotated[float, Field(ge=0, le=100)]
Fraction = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=1, le=10_000_000)]
Samples = Annotated[int, Field(ge=1, le=10_000)]
Draws = Annotated[int, Field(ge=0, le=100_000)]
"""Resamples and shuffles; more change no digit of an interval and take days."""
Tokens = Annotated[int, Field(ge=1, le=1_000_000)]
Layer = Annotated[int, Field(ge=0)]

Pool = Literal["roles_and_traits", "roles", "default"]
Reading = Literal["floor", "ceiling"]


class Strict(BaseModel):
    """A record in a file: unknown keys are refused, and the number 5 is not written "5"."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def no_repeats(names: Any) -> Any:
    """Refuse a list that holds one value twice; numbers count as written."""
    if isinstance(names, list):
        seen: set[str] = set()
        for name in names:
            if (written := repr(name)) in seen:
                raise ValueError(f"{name!r} is listed twice; keep one of them")
            seen.add(written)
    return names


_T = TypeVar("_T")

Distinct = Annotated[list[_T], Field(min_length=1), BeforeValidator(no_repeats)]
"""A list without repetition, of one entry at least."""


def _list_or_not(value: Any) -> str:
    return "list" if isinstance(value, list) else "other"


NameList = Distinct[Slug]
"""Names without repetition."""

# With the discriminators, error messages concern only the branch that matches the value.
Names = Annotated[
    Annotated[NameList, Tag("list")] | Annotated[Literal["all"], Tag("other")],
    Discriminator(_list_or_not),
]
"""The word "all", or a list of names."""

NamesOrNone = Annotated[
    Annotated[NameList, Tag("list")] | Annotated[Literal["all", "none"], Tag("other")],
    Discriminator(_list_or_not),
]
"""The words "all" or "none", or a list of names."""


def _list_word_or_number(value: Any) -> str:
    return "word" if isinstance(value, str) else _list_or_not(value)


LayersOrCount = Annotated[
    Annotated[Distinct[Layer], Tag("list")]
    | Annotated[Literal["all"], Tag("word")]
    | Annotated[Count, Tag("other")],
    Discriminator(_list_word_or_number),
]
"""Layers, how many evenly spaced ones, or the word "all"."""


class LayerBand(NamedTuple):
    """Consecutive layers ``first`` to ``last``, both included, 0-based."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"

    @property
    def layers(self) -> range:
        """The layers of the band."""
        return range(self.first, self.last + 1)


def parse_band(value: Any) -> LayerBand:
    """Parse a band of layers: ``[20, 24]`` (a study) or ``"20-24"`` (the model table)."""
    parts = value.split("-") if isinstance(value, str) else value
    try:
        first, last = (int(part) for part in parts)
    except (TypeError, ValueError):
        raise ValueError(f"{value!r} is not a band of layers; write [first, last]") from None
    if not 0 <= first <= last:
        raise ValueError(f"band {first}-{last} is not in order; give 0 <= first <= last")
    return LayerBand(first, last)


BandField = Annotated[LayerBand, BeforeValidator(parse_band)]
