"""Texts that say nearly the same: they would count one question twice."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_WORD: Final = re.compile(r"\w+")

# ASSUME: the papers do not say what counts as a duplicate. Two texts that share three quarters of
# their different words do.
MOST_ALIKE: Final = 0.75


def without_near_duplicates(texts: Iterable[str], known: Iterable[str] = ()) -> list[str]:
    """Return the texts in order, without those that nearly repeat an earlier or a known one.

    Two texts are alike by the share of their different words that both have, ignoring case and
    punctuation; from `MOST_ALIKE` on the later one is left out.
    """
    before = [_words(text) for text in known]
    kept = []
    for text in texts:
        words = _words(text)
        if not any(len(words & other) >= MOST_ALIKE * len(words | other) for other in before):
            kept.append(text)
            before.append(words)
    return kept


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.casefold()))
