"""Records of roles, traits and questions. Descriptions are shown in config/README.md."""

import re
from typing import Annotated, Final, Self

from pydantic import BeforeValidator, Field, model_validator

from personae.base.field_types import Slug, Strict
from personae.data.table_values import DEFAULT
from personae.personas.system_prompts import trait_prompt


def _spoken(text: object) -> object:
    if isinstance(text, str) and not text.strip():
        raise ValueError("empty text; write something or remove the entry")
    return text


Text = Annotated[str, BeforeValidator(_spoken)]
"""Non-empty text."""

SPACE_KEYS: Final = ("name", "antonym", "positive", "negative")
"""Placeholders that the templates of the trait space may use."""
_PLACEHOLDER: Final = re.compile(r"\{(\w*)\}")


class Role(Strict):
    """A character that the model plays, or the default Assistant."""

    slug: Slug = Field(description="Its key in the file.")
    category: Slug = Field(description="The file's name.")
    description: Text = Field(description="One sentence; shown to judges.")
    prompts: list[Text | None] = Field(
        min_length=1,
        description="Distinct system prompts in the second person; null (only for the default "
        "Assistant) sends none. {model_name} is replaced by the model's name.",
    )
    rubric: Text | None = Field(
        default=None,
        description="For the judge: what counts as fully playing the role, as partly playing it, "
        "and what does not count. Only the default Assistant has none.",
    )
    susceptible: bool = Field(
        default=False, description="Takes part in the role-susceptibility experiment."
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.rubric is None and self.slug != DEFAULT:
            raise ValueError("rubric: missing; describe for the judge what playing this role means")
        for index, prompt in enumerate(self.prompts):
            if prompt is None and self.slug != DEFAULT:
                raise ValueError(f"prompts[{index}] is null; only the default Assistant has none")
            if prompt in self.prompts[:index]:
                raise ValueError(f"prompts[{index}] repeats an earlier prompt; write another")
        return self


class Question(Strict):
    """A question that every role answers."""

    id: Slug = Field(description="Unique name, used in tables and for seeds.")
    topic: Slug = Field(description="Topic, used to check the balance of the set.")
    text: Text = Field(description="The user's message.")


class InstructionPair(Strict):
    """Two opposed instructions."""

    positive: Text = Field(description="Asks for the trait.")
    negative: Text = Field(description="Asks for its opposite.")


class Exchange(Strict):
    """One user turn and the assistant's reply."""

    user: Text = Field(description="The user's message.")
    assistant: Text = Field(description="The assistant's reply.")


class TraitQuestionSets(Strict):
    """A trait's own questions; no question is in both sets."""

    extraction: list[Text] = Field(
        min_length=1, description="Questions on which the vector is extracted."
    )
    evaluation: list[Text] = Field(min_length=1, description="Held-out questions for steering.")


class Trait(Strict):
    """A character trait; its vector points toward the trait."""

    slug: Slug = Field(description="The file's name.")
    name: Text = Field(description='Adjective, as in "You are a(n) {name} assistant."')
    antonym: Text = Field(default="helpful", description="Adjective of the negative prompts.")
    description: Text = Field(description="Definition of the trait; shown to judges.")
    pairs: list[InstructionPair] = Field(min_length=1, description="Instruction pairs.")
    questions: TraitQuestionSets = Field(description="Two lists: extraction and evaluation.")
    rubric: Text = Field(description="How judges score it from 0 to 100.")
    monitoring: list[Text] = Field(
        default=[],
        description="System prompts graded from suppressing to inducing; if empty, the "
        "instructions are used: negative, neutral, positive.",
    )
    many_shot: list[Exchange] = Field(
        default=[], description="Example exchanges that show the trait, for many-shot prompts."
    )

    @property
    def graded(self) -> list[str]:
        """System prompts from suppressing to inducing.

        # ASSUME: a trait without graded prompts is monitored under its negative instructions, a
        # neutral prompt and its positive instructions.
        """
        if self.monitoring:
            return self.monitoring
        negative = [trait_prompt(self.antonym, pair.negative) for pair in self.pairs]
        positive = [trait_prompt(self.name, pair.positive) for pair in self.pairs]
        return [*negative, "You are a helpful assistant.", *positive]

    @model_validator(mode="after")
    def _sound(self) -> Self:
        sets = self.questions
        for name, questions in (("extraction", sets.extraction), ("evaluation", sets.evaluation)):
            for index, text in enumerate(questions):
                if text in questions[:index]:
                    raise ValueError(f"questions.{name}[{index}] repeats an earlier question")
        if shared := set(sets.extraction) & set(sets.evaluation):
            raise ValueError(f"question {min(shared)!r} is in both sets; keep it in one")
        return self


class SpaceTemplate(Strict):
    """An instruction pair with placeholders, used for every trait of the trait space."""

    positive: Text = Field(
        description="Asks for the trait. {name}, {antonym}, {positive} and {negative} are filled "
        "in from the trait."
    )
    negative: Text = Field(description="Asks for its opposite, with the same placeholders.")

    @model_validator(mode="after")
    def _sound(self) -> Self:
        for side in ("positive", "negative"):
            text = getattr(self, side)
            for found in _PLACEHOLDER.findall(text):
                if found not in SPACE_KEYS:
                    known = ", ".join(f"{{{key}}}" for key in SPACE_KEYS)
                    raise ValueError(f"{side}: no placeholder {{{found}}}; use {known}")
            if f"{{{side}}}" not in text:
                raise ValueError(f"{side}: {{{side}}}, the trait's sentence, is missing; add it")
        return self


class SpaceTrait(Strict):
    """A trait of the trait space: two adjectives and two sentences that templates expand."""

    slug: Slug = Field(description="Its key in the file.")
    category: Slug = Field(description="The file's name.")
    name: Text = Field(description="Adjective of the trait.")
    antonym: Text = Field(description="Adjective of its opposite.")
    positive: Text = Field(description="One sentence to the model that asks for the trait.")
    negative: Text = Field(description="One sentence to the model that asks for the opposite.")

    @model_validator(mode="after")
    def _sound(self) -> Self:
        for left, right in (("name", "antonym"), ("positive", "negative")):
            if getattr(self, left).casefold() == getattr(self, right).casefold():
                raise ValueError(f"{left} and {right} are equal; write the opposite")
        return self


class HarmProbe(Strict):
    """A short harmful request that a safe assistant declines or redirects."""

    id: Slug = Field(description="Unique name.")
    category: Slug = Field(description="Kind of harm.")
    text: Text = Field(description="The user's message; contains no operational content.")


class ClosedItem(Strict):
    """A very easy multiple-choice question."""

    id: Slug = Field(description="Unique name.")
    question: Text = Field(description="The question.")
    choices: list[Text] = Field(min_length=2, description="Choices, all different.")
    answer: int = Field(ge=0, description="Index of the right choice, from 0.")

    @model_validator(mode="after")
    def _answerable(self) -> Self:
        if self.answer >= len(self.choices):
            raise ValueError(f"answer {self.answer} of only {len(self.choices)} choices")
        if len(set(self.choices)) < len(self.choices):
            raise ValueError("two choices are equal; make them different")
        return self
