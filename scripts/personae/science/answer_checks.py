"""Right or wrong: checks of short responses against exact answers and formatting rules."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

_NUMBER: Final = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?")
_QUOTES: Final = "\"'`\u2018\u2019\u201c\u201d"
_EDGE: Final = f"{_QUOTES} \t\n*_.,;:!?()[]"


def is_correct(response: str, item: Mapping[str, Any]) -> bool:
    """Return whether a response answers an item.

    Parameters
    ----------
    response
        The response, whole.
    item
        Fields ``kind``, ``answers``, ``wrong``, ``rule`` and ``value`` of a capability item.

    Notes
    -----
    Arithmetic: the number after the last equals sign, else the last number, equals an answer;
    without a number, an answer in words occurs. Facts and reading: an answer occurs as whole words
    and no wrong one does, whatever the case. Format: the response as a whole obeys the rule; quotes
    and punctuation around it are ignored where the rule does not ask for them.
    """
    if item["kind"] == "format":
        return _RULES[item["rule"]](response.strip(), item["value"])
    if item["kind"] == "arithmetic":
        return _calculated(response, item["answers"])
    said = _plain(response)
    found = any(_occurs(_plain(answer), said) for answer in item["answers"])
    return found and not any(_occurs(_plain(text), said) for text in item["wrong"])


def _calculated(response: str, answers: Sequence[str]) -> bool:
    result = response.rpartition("=")[2] if "=" in response else response
    numbers = _NUMBER.findall(result)
    if not numbers:
        return any(_occurs(_plain(answer), _plain(result)) for answer in answers)
    # After an equals sign the result comes first: "3 + 4 = 7, as 7 - 4 is 3".
    said = float(numbers[0 if "=" in response else -1].replace(",", ""))
    return any(_NUMBER.fullmatch(answer) and float(answer) == said for answer in answers)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _occurs(words: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(words)}(?!\w)", text) is not None


def _words(text: str) -> list[str]:
    return [word for word in text.split() if any(c.isalnum() for c in word)]


def _parts(text: str, mark: str) -> list[str]:
    return [part for part in text.strip(_EDGE).split(mark) if part.strip(_EDGE)]


def _is_number(text: str, _: None) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", text.strip(_EDGE)) is not None


def _ends(text: str, end: str) -> bool:
    """Punctuation after a word that ends the response is ignored; a mark must be the last one."""
    whole = text.rstrip(f"{_QUOTES} *") if not end[-1].isalnum() else text.strip(_EDGE)
    return whole.casefold().endswith(end.casefold())


_RULES: Final[Mapping[str, Callable[[str, Any], bool]]] = {
    "words": lambda text, n: len(_words(text)) == n,
    "most_words": lambda text, n: 0 < len(_words(text)) <= n,
    "upper": lambda text, _: text.isupper(),
    "lower": lambda text, _: text.islower(),
    "number": _is_number,
    "one_of": lambda text, choices: text.strip(_EDGE).casefold() in map(str.casefold, choices),
    "begins": lambda text, start: text.strip(_EDGE).casefold().startswith(start.casefold()),
    "ends": _ends,
    "contains": lambda text, word: _occurs(_plain(word), _plain(text)),
    "lacks": lambda text, part: bool(_words(text)) and part not in text,
    "items": lambda text, n: "\n" not in text.strip() and len(_parts(text, ",")) == n,
    "lines": lambda text, n: len([line for line in text.splitlines() if line.strip()]) == n,
}
