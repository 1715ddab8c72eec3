"""Terms that the page explains where they stand."""

from __future__ import annotations

import re
from typing import Final

from markupsafe import Markup, escape

WORDS: Final = {
    "null": "What the same computation gives without the effect: with shuffled labels, or along "
    "random directions. An effect counts only beyond it.",
    "band": "Consecutive layers at which activations are capped together, such as layers 20 to 24.",
    "percentile": "Where a cap lies among the projections of the calibration responses. In the "
    "papers' reading, p25 is their 25th percentile along the vector that points away from the "
    "Assistant: a floor at the 75th percentile along the axis. Lower percentiles cap harder.",
    "reading": "How a percentile becomes a cap: as a ceiling along the vector that points away "
    "from the Assistant (the papers'), or as a floor along the axis (a variant).",
    "participation ratio": "Number of equally strong components that would spread the variance "
    "as much: 1 if one component holds it all.",
    "nats": "Unit of log-probabilities to base e; 0.7 nats per token less is half the probability "
    "of every token.",
    "kappa": "Agreement beyond chance: 0 is chance, 1 is perfect agreement. Larger disagreements "
    "on a scale count more.",
    "AUC": "Probability that a positive case scores higher than a negative one: 0.5 is chance.",
    "projection": "Inner product of an activation with a direction of unit length, in units of the "
    "residual stream.",
}
"""Definitions by term, in one or two sentences."""

_FOUND: Final = re.compile(
    r"\b(nulls?|bands? of layers|percentiles?|participation ratio|nats|kappa|AUC)\b"
)
_FORMS: Final = {
    "nulls": "null", "band of layers": "band", "bands of layers": "band",
    "percentiles": "percentile",
}  # fmt: skip


def word(term: str, shown: str = "") -> Markup:
    """Return a term as a button that opens its definition; raise `KeyError` for an unknown one."""
    place = term.replace(" ", "-").lower()
    assert WORDS[term]
    return Markup(
        f'<button type="button" class="word" popovertarget="word-{place}">{escape(shown or term)}'
        "</button>"
    )


def explained(text: str) -> Markup:
    """Return a text, escaped, with the first use of each known term as a button."""
    seen: set[str] = set()
    parts: list[Markup] = []
    last = 0
    for match in _FOUND.finditer(text):
        term = _FORMS.get(match[1], match[1])
        if term in seen:
            continue
        seen.add(term)
        parts += [escape(text[last : match.start()]), word(term, match[1])]
        last = match.end()
    return Markup("").join([*parts, escape(text[last:])])
