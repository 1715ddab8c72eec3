"""What the endpoint is told that plays the user in simulated conversations."""

import re
from pathlib import Path
from typing import Final, Self

from pydantic import Field, model_validator

from personae.base.field_types import Strict
from personae.personas.library.records import Text
from personae.personas.library.yaml_reader import Reader

_PLACEHOLDER: Final = re.compile(r"\{(persona|topic|end)\}")


class AuditorSheet(Strict):
    """The prompt of the auditor, which plays the user (AA, persona drift).

    The roles are flipped for it: its own messages are the assistant's turns, and what the studied
    model answers are the user's.
    """

    system: Text = Field(
        description="System prompt. {persona} and {topic} stand for what the domain's file says, "
        "{end} for the word below; each must occur."
    )
    opening: Text = Field(
        description="First turn that the auditor reads, before anything was said: chat models "
        "answer somebody."
    )
    end: Text = Field(
        description="Word by which the auditor ends the conversation; a message that holds it is "
        "not sent."
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        for name in ("persona", "topic", "end"):
            if name not in _PLACEHOLDER.findall(self.system):
                raise ValueError(f"system: lacks {{{name}}}; add it")
        return self

    def prompt(self, persona: str, topic: str) -> str:
        """Return the system prompt for one user who brings up one topic."""
        # One pass, and not str.format: a brace in a persona is just a brace.
        parts = {"persona": persona, "topic": topic, "end": self.end}
        return _PLACEHOLDER.sub(lambda found: parts[found[1]], self.system)


def load_auditor(conversations: str, base: Path = Path()) -> AuditorSheet:
    """Return the auditor's prompt, ``auditor.yaml`` in the folder of conversations.

    Raises
    ------
    LibraryError, YamlError
        With file, place, value and remedy.
    """
    return Reader(base).record(f"{conversations}/auditor.yaml", AuditorSheet)
