"""The type of a record of parameters, and questions as they appear in one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from personae.personas.library import Question

Record = dict[str, Any]


def texts(questions: Sequence[Question]) -> list[list[str]]:
    """Return name and text of every question."""
    return [[question.id, question.text] for question in questions]


def numbered(questions: Sequence[str]) -> list[list[str]]:
    """Return texts that have no name with their place as one."""
    return [[f"q{index:02d}", text] for index, text in enumerate(questions)]
