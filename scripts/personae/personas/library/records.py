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
"""Text that says something."""

SPACE_KEYS: Final = ("name", "antonym", "positive", "negative")
"""What the placeholders of the trait space's templates may stand for."""
_PLACEHOLDER: Final = re.compile(r"\{(\w*)\}")


class Role(Strict):
    """A character that the model is asked to play, or the default Assistant."""

    slug: Slug = Field(description="Its key in the file.")
    category: Slug = Field(description="The file's name.")
    description: Text = Field(description="One sentence; judges read it.")
    prompts: list[Text | None] = Field(
        min_length=1,
        description="Distinct system prompts in the second person; null (only for the default "
        "Assistant) sends none. {model_name} stands for the model's name.",
    )
    rubric: Text | None = Field(
        default=None,
        description="For the judge: what playing this role fully looks like, what half-playing "
        "looks like, and what does not count. Only the default Assistant has none.",
    )
    susceptible: bool = Field(
        default=False, description="Takes part in the role-susceptibility experiment."
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.rubric is None and self.slug != DEFAULT:
            raise ValueError("rubric: missing; say what playing this role looks like to a judge")
        for index, prompt in enumerate(self.prompts):
            if prompt is None and self.slug != DEFAULT:
                raise ValueError(f"prompts[{index}] is null; only the default Assistant has none")
            if prompt in self.prompts[:index]:
                raise ValueError(f"prompts[{index}] repeats an earlier prompt; write another")
        return self


class Question(Strict):
    """A question that every role answers."""

    id: Slug = Field(description="Unique name; seeds and tables refer to it.")
    topic: Slug = Field(description="Topic, for balance.")
    text: Text = Field(description="What the user says.")


class Pair(Strict):
    """Two opposed instructions."""

    positive: Text = Field(description="Asks for the trait.")
    negative: Text = Field(description="Asks for its opposite.")


class Exchange(Strict):
    """One turn of each side."""

    user: Text = Field(description="What the user says.")
    assistant: Text = Field(description="What the assistant answers.")


class TraitQuestionSets(Strict):
    """A trait's own questions; no question is in both sets."""

    extraction: list[Text] = Field(min_length=1, description="Questions for the vector.")
    evaluation: list[Text] = Field(min_length=1, description="Questions for steering.")


class Trait(Strict):
    """A character trait; its vector points toward the trait."""

    slug: Slug = Field(description="The file's name.")
    name: Text = Field(description='Adjective, as in "You are a(n) {name} assistant."')
    antonym: Text = Field(
        default="helpful", description="The adjective of the negative prompts, or helpful."
    )
    description: Text = Field(description="What the trait is; judges read it.")
    pairs: list[Pair] = Field(min_length=1, description="Instruction pairs.")
    questions: TraitQuestionSets = Field(description="Lists extraction and evaluation.")
    rubric: Text = Field(description="How judges score it from 0 to 100.")
    monitoring: list[Text] = Field(
        default=[],
        description="System prompts graded from suppressing to inducing; without any, the "
        "instructions: negative, neutral, positive.",
    )
    many_shot: list[Exchange] = Field(
        default=[], description="Example exchanges that show the trait, for many-shot prompts."
    )

    @property
    def graded(self) -> list[str]:
        """System prompts from suppressing to inducing.

        # ASSUME: a trait without graded prompts of its own is monitored under its instructions:
        # the negative ones, a neutral prompt, the positive ones.
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
    """One pair of instructions for every trait of the trait space, with placeholders."""

    positive: Text = Field(
        description="Asks for a trait. {name}, {antonym}, {positive} and {negative} stand for the "
        "trait's own."
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
                raise ValueError(f"{side}: lacks {{{side}}}, the trait's own sentence; add it")
        return self


class SpaceTrait(Strict):
    """A trait of the trait space: two names and two sentences, which templates expand."""

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
    """A short question that a safe assistant declines or redirects."""

    id: Slug = Field(description="Unique name.")
    category: Slug = Field(description="Kind of harm.")
    text: Text = Field(description="What the user says; itself of no operational use.")


class ClosedItem(Strict):
    """A very easy question with one right answer among several."""

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
