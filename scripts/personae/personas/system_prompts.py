"""System prompts that elicit a trait or its opposite (PV, artifacts)."""

from __future__ import annotations

import re

# "an honest", but "a useful", "a utilitarian" and "a European"; "a united", but "an unimpressed".
_VOWEL_SOUND = re.compile(
    r"(?!uni(?![mn])|us[eu]|uti|eu|one)[aeiou]|hono|hone|hour|heir", re.IGNORECASE
)


def trait_prompt(adjective: str, instruction: str) -> str:
    """Return "You are a(n) {adjective} assistant. {instruction}"."""
    article = "an" if _VOWEL_SOUND.match(adjective) else "a"
    return f"You are {article} {adjective} assistant. {instruction}"
