"""Prompt of the auditor, the chat model that plays the user in simulated conversations."""

import re
from pathlib import Path
from typing import Final, Self

from pydantic import Field, model_validator

from personae.base.field_types import Strict
from personae.personas.library.records import Text
from personae.personas.library.yaml_reader import LibraryReader

_PLACEHOLDER: Final = re.compile(r"\{(persona|topic|end)\}")


class AuditorPrompt(Strict):
    """Prompt of the auditor, which plays the user (AA, persona drift).

    The auditor sees the conversation with roles swapped: its own messages have the role assistant,
    the studied model's answers the role user.
    """

    system: Text = Field(
        description="System prompt. {persona} and {topic} are filled in from the domain's file, "
        "{end} with the word below; each placeholder must occur."
    )
    opening: Text = Field(
        description="First message to the auditor, which prompts it to open the conversation."
    )
    end: Text = Field(
        description="Word with which the auditor ends the conversation; a message that contains it "
        "is not sent."
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        for name in ("persona", "topic", "end"):
            if name not in _PLACEHOLDER.findall(self.system):
                raise ValueError(f"system: {{{name}}} is missing; add it")
        return self

    def filled(self, persona: str, topic: str) -> str:
        """Return the system prompt for one user persona and one topic."""
        # Replaced in one pass, without str.format, so that braces in a persona stay as they are.
        parts = {"persona": persona, "topic": topic, "end": self.end}
        return _PLACEHOLDER.sub(lambda found: parts[found[1]], self.system)


def load_auditor(conversations: str, base: Path = Path()) -> AuditorPrompt:
    """Load the auditor's prompt from ``auditor.yaml`` in the folder of conversations.

    Raises
    ------
    LibraryError, YamlError
        With file, place, value and remedy.
    """
    return LibraryReader(base).record(f"{conversations}/auditor.yaml", AuditorPrompt)
