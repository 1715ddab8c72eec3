"""Records of conversations. Descriptions are shown in config/README.md."""

from typing import Literal, Self

from pydantic import Field, model_validator

from personae.base.field_types import Slug, Strict
from personae.personas.library.records import Exchange, Text


class DriftConversation(Strict):
    """A transcript whose assistant turns are projected, and whose user turns are replayed."""

    slug: Slug = Field(description="The file's name.")
    domain: Slug = Field(description="coding, writing, therapy, philosophy, ...")
    kind: Literal["calm", "drifting"] = Field(description="calm or drifting.")
    title: Text = Field(description="Title.")
    description: Text = Field(description="What happens, in one sentence.")
    turns: list[Exchange] = Field(min_length=1, description="Turns of user and assistant.")


class JailbreakConversation(Strict):
    """A persona jailbreak: a system prompt and user turns that lead up to a request."""

    slug: Slug = Field(description="The file's name.")
    title: Text = Field(description="Title.")
    persona: Slug = Field(description="The persona, in one word.")
    description: Text = Field(description="Who the persona is; judges read it.")
    system: Text | None = Field(description="System prompt; null sends none.")
    turns: list[Text] = Field(min_length=1, description="User turns.")


class Topic(Strict):
    """Something that a simulated user brings up."""

    id: Slug = Field(description="Unique among the persona's topics.")
    text: Text = Field(description="One sentence: what this user brings up.")


class UserPersona(Strict):
    """A simulated user, played by the auditor model."""

    id: Slug = Field(description="Unique name in the domain.")
    description: Text = Field(
        description="Who the user is and how they talk, to the auditor in the second person."
    )
    topics: list[Topic] = Field(min_length=1, description="What this user may bring up.")

    @model_validator(mode="after")
    def _sound(self) -> Self:
        refuse_repeats("topics", "id", [topic.id for topic in self.topics])
        refuse_repeats("topics", "text", [topic.text for topic in self.topics])
        return self


class Domain(Strict):
    """A domain of simulated conversations: who talks to the model, and about what."""

    domain: Slug = Field(description="Its name; the file has the same.")
    title: Text = Field(description="Title.")
    description: Text = Field(description="What is talked about, in one sentence.")
    personas: list[UserPersona] = Field(min_length=1, description="Simulated users.")

    @model_validator(mode="after")
    def _sound(self) -> Self:
        refuse_repeats("personas", "id", [persona.id for persona in self.personas])
        return self

    def first(self, personas: int | None, topics: int | None) -> Self:
        """Return the domain with the first personas and their first topics; None keeps all."""
        kept = [p.model_copy(update={"topics": p.topics[:topics]}) for p in self.personas]
        return self.model_copy(update={"personas": kept[:personas]})


def refuse_repeats(place: str, field: str, values: list[str]) -> None:
    """Refuse a value that occurs twice in the records at ``place``.

    Raises
    ------
    ValueError
        With both places and the value.
    """
    for index, value in enumerate(values):
        if value in values[:index]:
            first = f"{place}[{values.index(value)}]"
            raise ValueError(f"{place}[{index}].{field} {value!r} repeats {first}; change one")
