"""Records of conversations. Descriptions are shown in config/README.md."""

from typing import Literal, Self

from pydantic import Field, model_validator

from personae.base.field_types import Slug, Strict
from personae.personas.library.records import Exchange, Text


class DriftConversation(Strict):
    """A transcript: its assistant turns are projected, its user turns replayed."""

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
    """A subject that a simulated user raises."""

    id: Slug = Field(description="Unique among the persona's topics.")
    text: Text = Field(description="One sentence: the subject this user raises.")


class UserPersona(Strict):
    """A simulated user, played by the auditor model."""

    id: Slug = Field(description="Unique name in the domain.")
    description: Text = Field(
        description="Who the user is and how they talk, addressed to the auditor as 'you'."
    )
    topics: list[Topic] = Field(min_length=1, description="Subjects that this user may raise.")

    @model_validator(mode="after")
    def _sound(self) -> Self:
        refuse_repeats("topics", "id", [topic.id for topic in self.topics])
        refuse_repeats("topics", "text", [topic.text for topic in self.topics])
        return self


class Domain(Strict):
    """A domain of simulated conversations: its users and their topics."""

    domain: Slug = Field(description="Name of the domain; must equal the file's name.")
    title: Text = Field(description="Title.")
    description: Text = Field(description="Subject of the conversations, in one sentence.")
    personas: list[UserPersona] = Field(min_length=1, description="Simulated users.")

    @model_validator(mode="after")
    def _sound(self) -> Self:
        refuse_repeats("personas", "id", [persona.id for persona in self.personas])
        return self

    def first(self, personas: int | None, topics: int | None) -> Self:
        """Return the domain with only the first personas and topics of each; None keeps all."""
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
