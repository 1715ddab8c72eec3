"""What can be read off an answer without a model: words, repetition, marks, who speaks.

Gibberish passes a judge that only asks whether a text is like others; it does not pass a count of
dictionary words. The list of words is the whole-word part of the vocabulary of all-MiniLM-L6-v2
(Apache-2.0), lower case, 21,000 words; regular endings of its words count as words too.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_WORDS_FILE: Final = Path(__file__).parent / "words.txt"
_WORD: Final = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
_ENDINGS: Final = ("'s", "s", "es", "ed", "d", "ing", "ly", "er", "est", "n't", "'ll", "'re", "'ve")
_AI: Final = re.compile(
    r"\b(as an? (ai|artificial|language|llm)|ai (assistant|model|language)|language model|llm"
    r"|chatbot|i('| a)m an? (ai|artificial|computer|digital|virtual)|smollm|my training"
    r"|trained (by|on|to))\b",
    re.IGNORECASE,
)
_REFUSAL: Final = re.compile(
    r"\b(i (can ?not|can't|won't|will not|am not able|'m not able|am unable|'m unable|must decline)"
    r"|i'm (sorry|afraid)|i am sorry|i decline|not comfortable)\b",
    re.IGNORECASE,
)
_FIRST: Final = re.compile(r"\b(i|me|my|mine|i'm|i've|i'll|myself)\b", re.IGNORECASE)
_SECOND: Final = re.compile(r"\b(you|your|yours|you're)\b", re.IGNORECASE)

NAMES: Final = (
    "log_length", "words_per_sentence", "dictionary_share", "longest_unknown", "distinct_share",
    "repeated_pairs", "odd_marks", "case_changes", "exclamations", "questions", "line_breaks",
    "ai", "refusal", "first_person", "second_person", "commas", "word_length", "lists",
)  # fmt: skip
"""Names of the features, in order."""


@functools.cache
def _dictionary() -> frozenset[str]:
    return frozenset(_WORDS_FILE.read_text("utf-8").split())


def is_word(word: str) -> bool:
    """Whether a word, or what remains without a regular ending, is in the dictionary."""
    lower = word.lower().replace("\u2019", "'")
    known = _dictionary()
    if lower in known or len(lower) == 1:
        return True
    stems = [lower.removesuffix(end) for end in _ENDINGS if lower.endswith(end)]
    return any(
        stem in known or f"{stem}e" in known or (len(stem) > 2 and stem[-1:] == stem[-2:-1]
        and stem[:-1] in known) or (stem.endswith("i") and f"{stem[:-1]}y" in known)
        for stem in stems
        if len(stem) > 1
    )  # fmt: skip


def dictionary_share(text: str) -> float:
    """Share of letters that stand in dictionary words; 0 for a text without words.

    Letters and not words are counted, as one long string of nonsense is worse than one short one.
    """
    words = _WORD.findall(text)
    total = sum(map(len, words))
    return sum(len(word) for word in words if is_word(word)) / total if total else 0.0


def surface_features(texts: Sequence[str]) -> FloatArray:
    """Return the features of every text, float64 ``[n, len(NAMES)]``."""
    return np.array([_features(text) for text in texts], dtype=np.float64).reshape(-1, len(NAMES))


@functools.lru_cache(maxsize=4096)
def _features(text: str) -> tuple[float, ...]:
    words = _WORD.findall(text)
    n, length = max(len(words), 1), max(len(text), 1)
    lower = [word.lower() for word in words]
    pairs = list(itertools.pairwise(lower))
    unknown = [len(word) for word in words if not is_word(word)]
    sentences = max(len(re.findall(r"[.!?]+(?:\s|$)", text)), 1)
    odd = sum(
        not (c.isalnum() or c.isspace() or c in ".,;:!?'\"-()\u2019\u201c\u201d\u2014*")
        for c in text
    )
    changes = len(re.findall(r"[a-z][A-Z]", text))
    return (
        math.log(length),
        min(n / sentences, 60.0),
        dictionary_share(text),
        min(max(unknown, default=0), 30),
        len(set(lower)) / n,
        (sum(Counter(pairs).values()) - len(set(pairs))) / max(len(pairs), 1),
        100.0 * odd / length,
        min(10.0 * changes / n, 5.0),
        min(10.0 * text.count("!") / n, 5.0),
        min(10.0 * text.count("?") / n, 5.0),
        min(10.0 * text.count("\n") / n, 5.0),
        float(bool(_AI.search(text))),
        float(bool(_REFUSAL.search(text))),
        10.0 * len(_FIRST.findall(text)) / n,
        10.0 * len(_SECOND.findall(text)) / n,
        10.0 * text.count(",") / n,
        sum(map(len, words)) / n,
        float(bool(re.search(r"^\s*(\d+\.|[-*\u2022])\s", text, re.MULTILINE))),
    )
