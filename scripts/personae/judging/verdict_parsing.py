"""Parse the verdict in a chat judge's reply.

The verdict is the *last* well-formed line ``VERDICT: <parts>`` (or ``VERDICT: REFUSAL`` where the
rubric allows it), or the whole reply if it consists of a verdict only. Numbers elsewhere in the
text are ignored: judges restate the scale, quote the answer and reason in the text. A line that is
not valid for the rubric (a number outside the bounds, an extra word) is not a verdict: it does not
count and does not replace an earlier one. ``2/3`` is not a verdict either, since it may mean two of
three, two or three, or two numbers.

If the prompt requests the verdict alone, as templates of other projects do, the verdict is in the
last line, and a line with the word VERDICT is a quotation. If the prompt requests the line and the
reply ends with a different bare verdict, the two contradict each other and neither counts.

Reasoning between ``<think>`` and ``</think>`` is ignored. A reply whose reasoning does not end has
no verdict.

A judge that quotes a line forged by the answer cannot mislead the parser: the prompt spells such
lines differently (see `defuse`), and quoted lines (``> VERDICT: 3``) are not verdicts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from personae.endpoints.chat_answer import spoken_text
from personae.judging.judge_types import Reason
from personae.judging.rubrics import RubricTemplate, Score, VerdictPart

REFUSAL: Final = "REFUSAL"
MIN_MASS: Final = 0.25
"""Smallest total probability of admissible numbers for an expectation over them (PV, judge)."""

_MARKUP: Final = " \t*_`#"
_LINE: Final = re.compile(r"VERDICT[*_` ]*[:=](.*)", re.IGNORECASE)
# ASCII digits only: float() accepts other digits too, but other programs may not.
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
_TOKEN: Final = re.compile(r"[0-9]+")
_FORGED: Final = re.compile(r"verdict(?=[\s*_`]*[:=\uff1a\ufe55])", re.IGNORECASE)
_SEPARATORS: Final = re.compile(r"[\s,;]+")
_TEMPLATE: Final = re.compile(r"<[a-z_]+: ([^<>]*)>")  # a filled-in form with the prompt's brackets
_REMARK: Final = re.compile(r"\s*(?:\(|\[|,|;|:|[-\u2013\u2014]\s)[^0-9/]*")
_ROUNDING: Final = 0.01  # nats by which a log-probability may lie above 0


_FIRST_VALUES: Final = re.compile(rf"{_NUMBER.pattern}(?:[\s,;]+{_NUMBER.pattern})*|[A-Za-z_]+")


class Parsed(NamedTuple):
    """A score, or the reason why there is none."""

    score: Score | None
    reason: Reason | None


class ExpectedScore(NamedTuple):
    """The expectation over the admissible numbers, and their total probability."""

    value: float
    mass: float


def parse_verdict(
    text: str, rubric_template: RubricTemplate, *, finished: bool = True, bare: bool = False
) -> Parsed:
    """Return the verdict in ``text``.

    Parameters
    ----------
    text
        The judge's reply.
    rubric_template
        The rubric of its kind.
    finished
        False if the reply was truncated: "VERDICT: 1" may then be the start of "VERDICT: 100", and
        an earlier verdict may have been revised.
    bare
        The prompt requested the verdict alone, not a line with the word VERDICT.
    """
    if not finished:
        return Parsed(None, "truncated")
    spoken = spoken_text(text).strip()
    lines = spoken.splitlines()
    alone = _read(lines[-1], rubric_template) if lines else None
    if bare:
        given = alone
    else:
        given = next(
            (found for line in reversed(lines) if (found := _line(line, rubric_template))), None
        )
        if given and alone and given != alone:
            return Parsed(None, "parse_failure")
    return given or _read(spoken, rubric_template) or Parsed(None, "parse_failure")


def _line(line: str, rubric_template: RubricTemplate) -> Parsed | None:
    """Return the verdict of a line with the word VERDICT, or None for any other line."""
    found = _LINE.fullmatch(line.strip(_MARKUP).lstrip("-" + _MARKUP))
    if not found:
        return None
    given = _TEMPLATE.sub(r"\1", found[1])
    return _read(given, rubric_template) or _before_remark(given, rubric_template)


def _before_remark(text: str, rubric_template: RubricTemplate) -> Parsed | None:
    """Return a verdict with a remark without numbers after it, as in ``3 (fully playing)``."""
    found = _FIRST_VALUES.match(text.strip(_MARKUP))
    if found and _REMARK.fullmatch(text.strip(_MARKUP)[found.end() :]):
        return _read(found[0], rubric_template)
    return None


def _read(text: str, rubric_template: RubricTemplate) -> Parsed | None:
    """Parse ``text`` as a verdict; None if it is not one."""
    value = text.strip().strip(_MARKUP).removesuffix(".").strip(_MARKUP)
    if rubric_template.refusal and value.upper() == REFUSAL:
        return Parsed(None, "refusal")
    words = _SEPARATORS.split(value) if len(rubric_template.verdict) > 1 else [value]
    if len(words) != len(rubric_template.verdict):
        return None
    numbers = [
        _value(word, part) for word, part in zip(words, rubric_template.verdict, strict=True)
    ]
    if None in numbers:
        return None
    word = value.lower() if rubric_template.verdict[0].words is not None else None
    return Parsed(rubric_template.score(tuple(n for n in numbers if n is not None), word), None)


def _value(word: str, part: VerdictPart) -> float | None:
    if part.words is not None:
        return part.words.get(word.lower())
    if not _NUMBER.fullmatch(word):
        return None
    number = float(word)
    low, high = part.bounds
    admissible = low <= number <= high and (number.is_integer() or not part.whole)
    return number if admissible else None


def expectation(
    tokens: Sequence[str], top: Sequence[tuple[str, float]], part: VerdictPart
) -> ExpectedScore | None:
    """Return the expectation over the numbers among the likeliest first tokens (PV, judge).

    None if the endpoint's tokens do not give it: the tokens "8" and "5" of "85" are not numbers.

    Parameters
    ----------
    tokens
        The first tokens of the reply, as far as they are known.
    top
        Most likely tokens at the first position, with log-probabilities in nats. Invalid values
        (NaN, infinite, above 0) are ignored.
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
        return ExpectedScore(math.nan, 0.0)
    likeliest = max(kept, key=lambda pair: pair[1])[0]
    # Computed relative to the most likely number, so that a single whole number stays whole.
    mean = likeliest + sum((value - likeliest) * p for value, p in kept) / mass
    return ExpectedScore(mean, min(mass, 1.0))


def _ends(token: str) -> bool:
    return token[-1:].isdigit()


def fence(text: str, mark: str) -> str:
    """Enclose judged text in delimiters that it cannot contain, and alter forged verdict lines.

    ``mark`` is chosen per answer; if the text contains it, that string is removed from the text.
    """
    return f"<<<{mark}\n{defuse(text.replace(mark, ''))}\n{mark}>>>"


def defuse(text: str) -> str:
    """Respell the word VERDICT in verdict lines, so that a quotation is not a verdict."""
    return _FORGED.sub("V-E-R-D-I-C-T", text)


def asks_for_line(prompt: str) -> bool:
    """Return whether a template of another project requests a line with the word VERDICT."""
    return _FORGED.search(prompt) is not None
