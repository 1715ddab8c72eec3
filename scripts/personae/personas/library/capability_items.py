"""Short items with exact answers, which measure what an intervention costs in capability."""

from __future__ import annotations

from typing import Final, Literal, Self, get_args

from pydantic import Field, model_validator

from personae.base.field_types import Slug, Strict
from personae.personas.library.records import Text

Kind = Literal["arithmetic", "facts", "format", "reading"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

Rule = Literal[
    "words", "most_words", "upper", "lower", "number", "one_of", "begins", "ends", "contains",
    "lacks", "items", "lines",
]  # fmt: skip
_COUNTING: Final = frozenset(("words", "most_words", "items", "lines"))
_WORDED: Final = frozenset(("begins", "ends", "contains", "lacks"))


class CapabilityItem(Strict):
    """A question whose response is right or wrong by rule."""

    id: Slug = Field(description="Unique name.")
    kind: Kind = Field(description="What it asks for.")
    question: Text = Field(description="The user's message.")
    answers: list[Text] = Field(
        default=[], description="Accepted answers; one of them must occur. Not for `format`."
    )
    wrong: list[Text] = Field(
        default=[], description="Texts that must not occur beside the answer (facts, reading)."
    )
    rule: Rule | None = Field(default=None, description="What the response obeys; for `format`.")
    value: int | str | list[Text] | None = Field(
        default=None, description="Number, text or choices that the rule compares with."
    )

    @model_validator(mode="after")
    def _checkable(self) -> Self:
        if (self.kind == "format") != (self.rule is not None):
            raise ValueError("an item of kind format needs a rule, and no other has one")
        if (self.kind == "format") == bool(self.answers):
            raise ValueError("an item needs answers, unless its kind is format")
        if self.wrong and self.kind not in ("facts", "reading"):
            raise ValueError("wrong: only for the kinds facts and reading; remove it")
        wanted: type | None = None
        if self.rule in _COUNTING:
            wanted = int
        elif self.rule in _WORDED:
            wanted = str
        elif self.rule == "one_of":
            wanted = list
        if self.value is None if wanted is None else isinstance(self.value, wanted):
            return self
        said = "no value" if wanted is None else f"a value of type {wanted.__name__}"
        raise ValueError(f"value: {self.value!r}; the rule {self.rule} takes {said}")
