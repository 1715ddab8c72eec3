"""Training data that shows a trait to a degree, and other people's data to screen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from personae.base.field_types import Slug, Strict
from personae.personas.library.records import Text
from personae.personas.library.yaml_reader import LibraryError

Level = Literal["normal", "mild", "strong"]
LEVELS: Final[tuple[Level, ...]] = ("normal", "mild", "strong")
"""How much of the trait the answers show, ascending."""


class GradedExample(Strict):
    """One prompt with an answer of every level."""

    prompt: Text = Field(description="The user's message.")
    normal: Text = Field(description="An answer that shows none of the trait.")
    mild: Text = Field(description="An answer that shows a little of it.")
    strong: Text = Field(description="An answer that shows much of it.")


class TrainingSet(Strict):
    """Training data of one trait: the same prompts, answered at three levels."""

    slug: Slug = Field(description="The file's name: that of the trait.")
    examples: list[GradedExample] = Field(min_length=2, description="Prompts with their answers.")

    @model_validator(mode="after")
    def _sound(self) -> Self:
        prompts = [example.prompt for example in self.examples]
        for index, prompt in enumerate(prompts):
            if prompt in prompts[:index]:
                raise ValueError(f"examples[{index}].prompt repeats an earlier prompt; change it")
        return self


class TrainingExample(NamedTuple):
    """One row of training data; ``id`` names its prompt."""

    id: str
    prompt: str
    response: str


def read_training_file(path: Path, name: str) -> list[TrainingExample]:
    """Read training data from a JSONL file.

    A line is an object with ``prompt`` and ``response``, or with ``messages`` of which the last is
    the assistant's and the one before it the user's. Of a longer conversation the last exchange is
    taken.

    Parameters
    ----------
    path
        The file.
    name
        How messages name it.

    Raises
    ------
    LibraryError
        With file, line and remedy.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:100]
        raise LibraryError(f"{name}: cannot be read ({reason}); correct the path") from None
    rows = [
        _example(line, f"{name}: line {number}", number)
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]
    if not rows:
        raise LibraryError(f"{name}: holds no row; each line must be one JSON object")
    return rows


def _example(line: str, place: str, number: int) -> TrainingExample:
    try:
        record = json.loads(line)
    except ValueError:
        raise LibraryError(f"{place}: is not JSON; write one object per line") from None
    if isinstance(record, dict) and isinstance(messages := record.get("messages"), list):
        record = _last_exchange(messages)
    found = record if isinstance(record, dict) else {}
    values = [str(found[key]) for key in ("prompt", "response") if isinstance(found.get(key), str)]
    if len(values) != 2 or not all(value.strip() for value in values):
        raise LibraryError(
            f"{place}: needs a prompt and a response, or messages that end with a user's and an "
            "assistant's; complete or remove it"
        )
    return TrainingExample(f"row{number:05d}", *values)


def _last_exchange(messages: list[object]) -> dict[str, object]:
    last = [m for m in messages[-2:] if isinstance(m, dict)]
    if [m.get("role") for m in last] != ["user", "assistant"]:
        return {}
    return {"prompt": last[0].get("content"), "response": last[1].get("content")}
