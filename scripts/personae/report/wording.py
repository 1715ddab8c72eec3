"""Format names, counts, lists and numbers as English text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from personae.data.table_values import DEFAULT

_ACRONYMS = {"ai": "AI", "llm": "LLM"}


def readable(slug: str) -> str:
    """Turn a slug into words: ``pirate_speech`` becomes ``pirate speech``."""
    if slug == DEFAULT:
        return "default Assistant"
    if slug in ("axis", "assistant_axis"):
        return "Assistant Axis"
    return " ".join(_ACRONYMS.get(word, word) for word in slug.split("_"))


def capital(text: str) -> str:
    """Return ``text`` with a capital first letter and the rest unchanged."""
    return text[:1].upper() + text[1:]


def count(n: int, noun: str) -> str:
    """Return ``1 role``, ``12 roles``."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def listed(items: Sequence[str]) -> str:
    """Join words as prose: ``a``, ``a and b``, ``a, b and c``."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def typeset(text: str) -> str:
    """Use the minus sign U+2212 for negative numbers, and drop the sign of a rounded zero."""
    unsigned = re.sub(r"(?<![\w.])[-+](?=0(?:\.0+)?(?![\d.]*[1-9]))", "", text)
    return re.sub(r"(?<![\w.])-(?=\d)", "\N{MINUS SIGN}", unsigned)


def span(band: str) -> str:
    """Format a band of layers with an en dash: ``20-24`` becomes ``20\N{EN DASH}24``."""
    return band.replace("-", "\N{EN DASH}")
