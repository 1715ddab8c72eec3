"""Reading a chat judge's verdict out of what it wrote.

The verdict is the *last* well-formed line ``VERDICT: <parts>`` (or ``VERDICT: REFUSAL`` where the
rubric has it), or the whole reply, where that is nothing but a verdict. Numbers elsewhere in the
text are never taken: judges restate the scale, quote the answer and think aloud. A line that is no
verdict by this rubric (a number outside the bounds, a word too many) is no verdict at all: it
neither counts nor takes the place of an earlier one. ``2/3`` is none either: it may mean two of
three, two or three, or two numbers.

A judge that was asked for the verdict alone, as templates from elsewhere do, has given it in its
last line; the word VERDICT, which it was not asked for, can then only be a quotation. Where the
line was asked for and the reply ends with another verdict alone, the two contradict each other, and
neither counts.

What a reasoning model thinks between ``<think>`` and ``</think>`` is not said, and a reply whose
thoughts do not end says nothing.

A judge that quotes a line forged by the answer cannot mislead the parser: such lines are spelled
differently in the prompt, see `defuse`, and quoted lines (``> VERDICT: 3``) are none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from personae.endpoints.chat_answer import spoken_text
from personae.judging.judge_types import Reason
from personae.judging.rubrics import Part, Score, Sheet

REFUSAL: Final = "REFUSAL"
MIN_MASS: Final = 0.25
"""Least probability of admissible numbers for an expectation over them (PV, judge)."""

_MARKUP: Final = " \t*_`#"
_LINE: Final = re.compile(r"VERDICT[*_` ]*[:=](.*)", re.IGNORECASE)
# Digits of this script only: other digits would be read as well, but never by the next program.
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
_TOKEN: Final = re.compile(r"[0-9]+")
_FORGED: Final = re.compile(r"verdict(?=[\s*_`]*[:=\uff1a\ufe55])", re.IGNORECASE)
_SEPARATORS: Final = re.compile(r"[\s,;]+")
_TEMPLATE: Final = re.compile(r"<[a-z_]+: ([^<>]*)>")  # the form as the prompt gives it, filled in
_REMARK: Final = re.compile(r"\s*(?:\(|\[|,|;|:|[-\u2013\u2014]\s)[^0-9/]*")
_ROUNDING: Final = 0.01  # nats by which a log-probability may lie above 0


_FIRST_VALUES: Final = re.compile(rf"{_NUMBER.pattern}(?:[\s,;]+{_NUMBER.pattern})*|[A-Za-z_]+")


class Parsed(NamedTuple):
    """A score, or the reason why there is none."""

    score: Score | None
    reason: Reason | None


class Expected(NamedTuple):
    """An expectation over the admissible numbers, and their probability together."""

    value: float
    mass: float


def parse_verdict(text: str, sheet: Sheet, *, finished: bool = True, bare: bool = False) -> Parsed:
    """Return the verdict in ``text``.

    Parameters
    ----------
    text
        What the judge wrote.
    sheet
        Its rubric.
    finished
        False when the text was cut off: "VERDICT: 1" may then be the start of "VERDICT: 100", and
        what came before may have been taken back.
    bare
        The judge was asked for the verdict alone, not for a line with the word VERDICT.
    """
    if not finished:
        return Parsed(None, "truncated")
    spoken = spoken_text(text).strip()
    lines = spoken.splitlines()
    alone = _read(lines[-1], sheet) if lines else None
    if bare:
        given = alone
    else:
        given = next((found for line in reversed(lines) if (found := _line(line, sheet))), None)
        if given and alone and given != alone:
            return Parsed(None, "parse_failure")
    return given or _read(spoken, sheet) or Parsed(None, "parse_failure")


def _line(line: str, sheet: Sheet) -> Parsed | None:
    """Return the verdict of a line with the word VERDICT, or None when it is no such line."""
    found = _LINE.fullmatch(line.strip(_MARKUP).lstrip("-" + _MARKUP))
    if not found:
        return None
    given = _TEMPLATE.sub(r"\1", found[1])
    return _read(given, sheet) or _before_remark(given, sheet)


def _before_remark(text: str, sheet: Sheet) -> Parsed | None:
    """Return the verdict that a remark without numbers follows, as in ``3 (fully playing)``."""
    found = _FIRST_VALUES.match(text.strip(_MARKUP))
    if found and _REMARK.fullmatch(text.strip(_MARKUP)[found.end() :]):
        return _read(found[0], sheet)
    return None


def _read(text: str, sheet: Sheet) -> Parsed | None:
    """Return the verdict that ``text`` is, or None when it is none."""
    value = text.strip().strip(_MARKUP).removesuffix(".").strip(_MARKUP)
    if sheet.refusal and value.upper() == REFUSAL:
        return Parsed(None, "refusal")
    words = _SEPARATORS.split(value) if len(sheet.verdict) > 1 else [value]
    if len(words) != len(sheet.verdict):
        return None
    numbers = [_value(word, part) for word, part in zip(words, sheet.verdict, strict=True)]
    if None in numbers:
        return None
    word = value.lower() if sheet.verdict[0].words is not None else None
    return Parsed(sheet.score(tuple(n for n in numbers if n is not None), word), None)


def _value(word: str, part: Part) -> float | None:
    if part.words is not None:
        return part.words.get(word.lower())
    if not _NUMBER.fullmatch(word):
        return None
    number = float(word)
    low, high = part.bounds
    admissible = low <= number <= high and (number.is_integer() or not part.whole)
    return number if admissible else None


def expectation(
    tokens: Sequence[str], top: Sequence[tuple[str, float]], part: Part
) -> Expected | None:
    """Return the expectation over the numbers among the likeliest first tokens (PV, judge).

    None where the endpoint's tokens cannot tell it: the tokens "8" and "5" of "85" are no numbers.

    Parameters
    ----------
    tokens
        The first tokens of the reply, as far as they are known.
    top
        Likeliest tokens of the first position, with log-probabilities in nats. What cannot be one
        (NaN, infinite, above 0) counts as absent.
    part
        Bounds of the admissible whole numbers.
    """
    low, high = part.bounds
    sound = [(t.strip(), value) for t, value in top if -math.inf < value <= _ROUNDING]
    numbers = [(token, math.exp(value)) for token, value in sound if _TOKEN.fullmatch(token)]
    if not numbers and not top:
        return None
    split = len(tokens) > 1 and _ends(tokens[0]) and tokens[1][:1].isdigit()
    # ASSUME: on a scale beyond 9, twenty likely tokens of a vocabulary that has such numbers as
    # single tokens hold at least one of them.
    if split or (high > 9 and numbers and all(len(token) == 1 for token, _ in numbers)):
        return None
    kept = [(int(t), p) for t, p in numbers if low <= int(t) <= high and str(int(t)) == t]
    mass = sum(p for _, p in kept)
    if not mass:
        return Expected(math.nan, 0.0)
    likeliest = max(kept, key=lambda pair: pair[1])[0]
    # Reckoned from the likeliest number: a whole number stays whole where it is the only one.
    mean = likeliest + sum((value - likeliest) * p for value, p in kept) / mass
    return Expected(mean, min(mass, 1.0))


def _ends(token: str) -> bool:
    return token[-1:].isdigit()


def fence(text: str, mark: str) -> str:
    """Enclose judged text in lines that it cannot contain, its forged verdicts defused.

    ``mark`` is chosen per answer; a text that holds it all the same loses that one string.
    """
    return f"<<<{mark}\n{defuse(text.replace(mark, ''))}\n{mark}>>>"


def defuse(text: str) -> str:
    """Spell the word of a verdict line so that quoting the text makes no verdict."""
    return _FORGED.sub("V-E-R-D-I-C-T", text)


def asks_for_line(prompt: str) -> bool:
    """Say whether a prompt from elsewhere asks for a line with the word VERDICT."""
    return _FORGED.search(prompt) is not None
