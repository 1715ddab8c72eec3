"""Format names, counts, lists and numbers as English text."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from personae.data.table_values import DEFAULT

# Control characters but tab and line ends, and what turns the direction of a text or hides in it.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]"
)
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


def both_ends(ordered: Sequence[str], most: int) -> tuple[list[str], list[str]]:
    """Return the first and the last names of an order, outermost first, none of them in both.

    Parameters
    ----------
    ordered
        Names along a scale.
    most
        Names at each end; there are fewer where the order has less than twice as many. A single
        name is at the first end.
    """
    half = min(most, len(ordered) // 2)
    return [*ordered[: max(half, 1)]], [*ordered[::-1][:half]]


def typeset(text: str) -> str:
    """Use the minus sign U+2212 for negative numbers, and drop the sign of a rounded zero."""
    unsigned = re.sub(r"(?<![\w.])[-+](?=0(?:\.0+)?(?![\d.]*[1-9]))", "", text)
    return re.sub(r"(?<![\w.])-(?=\d)", "\N{MINUS SIGN}", unsigned)


def span(band: str) -> str:
    """Format a band of layers with an en dash: ``20-24`` becomes ``20\N{EN DASH}24``."""
    return band.replace("-", "\N{EN DASH}")


def visible(value: Any) -> Any:
    """Return a text with its invisible control characters written out, anything else as it is.

    A NUL is no character of HTML, and a reversed direction (U+202E) makes a response read otherwise
    than it was judged. The type stays, so that markup stays markup.
    """
    if not isinstance(value, str) or not _UNSEEN.search(value):
        return value
    return type(value)(_UNSEEN.sub(lambda found: f"[U+{ord(found[0]):04X}]", str(value)))


def bounds(low: float | None, high: float | None, form: str = ".2f") -> str:
    """Return ``0.10 to 0.30``, or that there is no interval: one unit cannot be resampled."""
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return "not available, too few units"
    return f"{low:{form}} to {high:{form}}"
