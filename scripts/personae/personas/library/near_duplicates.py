"""Texts that say nearly the same: they would count one question twice."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

_WORD: Final = re.compile(r"\w+")

# ASSUME: the papers do not say what counts as a duplicate. Two texts that share three quarters of
# their different words do.
MOST_ALIKE: Final = 0.75


def distinct_places(texts: Sequence[str], known: Iterable[str] = ()) -> list[int]:
    """Return the places of the texts that do not nearly repeat an earlier or a known one.

    Two texts are alike by the share of their different words that both have, ignoring case and
    punctuation; from `MOST_ALIKE` on the later one is left out. A text without words repeats none.
    """
    before = [_words(text) for text in known]
    places = []
    for place, text in enumerate(texts):
        words = _words(text)
        if words and any(_alike(words, other) for other in before):
            continue
        places.append(place)
        before.append(words)
    return places


def _alike(words: frozenset[str], other: frozenset[str]) -> bool:
    return len(words & other) >= MOST_ALIKE * len(words | other)


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.casefold()))
