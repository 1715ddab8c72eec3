"""Side-by-side transcripts: the same question plain, steered and capped.

What is shown is chosen by order, never by effect: the first question of each trait, role and
conversation in turn.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import pandas as pd

from personae.data.effect_tables import usable_coefficient
from personae.report.wording import capital, readable, span, typeset

_PUBLISHED_PERCENTILE = 25.0


class Answer(NamedTuple):
    """One column: under which intervention, what was answered, and how it was scored."""

    label: str
    kind: str
    text: str
    scores: list[str]


class Transcript(NamedTuple):
    """The same question under several interventions.

    Attributes
    ----------
    title
        What was compared.
    system
        System prompt; empty when none was sent.
    inserted
        What the chat template put in its place by itself; empty when nothing.
    question
        The user's (last) message.
    answers
        Columns, the plain one first.
    """

    title: str
    system: str
    inserted: str
    question: str
    answers: list[Answer]


class Scores:
    """Primary judge's verdicts by response and rubric, as short words."""

    def __init__(self, table: pd.DataFrame) -> None:
        primary = table[table.primary.astype(bool)]
        self._found = {
            (row.response_id, row.rubric): (row.score, row.reason) for row in primary.itertuples()
        }

    def words(self, response_id: str, rubrics: Iterable[str]) -> list[str]:
        """Return ``trait 72`` for a score, ``trait unscored (reason)`` where there is none."""
        found = []
        for rubric in rubrics:
            if (response_id, rubric) not in self._found:
                continue
            score, reason = self._found[response_id, rubric]
            digits = ".1f" if rubric == "role_adherence" else ".0f"
            value = f"unscored ({reason})" if pd.isna(score) else format(score, digits)
            found.append(f"{readable(rubric)} {value}")
        return found


def take_turns(groups: Iterable[Iterator[Transcript]], most: int) -> list[Transcript]:
    """Take one transcript of each group in turn until ``most`` are taken or all are used up."""
    rounds = itertools.zip_longest(*groups)
    return [t for t in itertools.chain.from_iterable(rounds) if t is not None][:most]


def steered(
    responses: pd.DataFrame, scores: Scores, effects: pd.DataFrame, coherence_floor: float
) -> Iterator[Transcript]:
    """Yield for each trait its first question plain, steered, against it, and along random.

    The coefficient is the largest whose mean coherence (``effects`` of the primary judge) stays at
    the floor, else the smallest.
    """
    for trait, rows in responses.groupby("trait", sort=False):
        positive = sorted(rows.coefficient[rows.coefficient > 0])
        own = effects[effects.trait == trait]
        coefficient = usable_coefficient(own, coherence_floor) or positive[0]
        first = rows[rows.question_id == rows.question_id.iloc[0]]
        arms = [
            ("plain", "plain", first[first.coefficient == 0]),
            (f"steered, {coefficient:+g}", "treated", _arm(first, "trait", coefficient)),
            (f"steered, {-coefficient:+g}", "treated", _arm(first, "trait", -coefficient)),
            (f"random direction, {coefficient:+g}", "null", _arm(first, "random0", coefficient)),
        ]
        yield _compare(f"Steering: {readable(str(trait))}", arms, scores, ("trait", "coherence"))


def _arm(rows: pd.DataFrame, direction: str, coefficient: float) -> pd.DataFrame:
    return rows[(rows.direction == direction) & (rows.coefficient == coefficient)]


def capped(responses: pd.DataFrame, scores: Scores, suite: str, title: str) -> Iterator[Transcript]:
    """Yield for each persona of a suite its first question uncapped, capped, and random.

    The setting is the first band at the percentile nearest the published 25; of a conversation the
    last turn is shown.
    """
    rows = responses[responses.suite == suite]
    arms = rows[rows.direction == "axis"]
    if arms.empty:
        return
    distance = (arms.percentile - _PUBLISHED_PERCENTILE).abs()
    setting = arms.loc[distance.idxmin()]
    words = f"layers {span(setting.band)}, p{setting.percentile:g}"
    for subject, own in rows.groupby("subject", sort=False):
        first = own[own.question_id == own.question_id.iloc[0]]
        last = first[first.turn == first.turn.max()]
        here = last[(last.band == setting.band) & (last.percentile == setting.percentile)]
        columns = [
            ("uncapped", "plain", last[last.direction == "none"]),
            (f"capped, {words}", "treated", here[here.direction == "axis"]),
            (f"random direction, {words}", "null", here[here.direction == "random0"]),
        ]
        name = f"{title}: {readable(str(subject))}"
        yield _compare(name, columns, scores, ("role_adherence", "coherence"))


def replayed(replays: pd.DataFrame) -> Iterator[Transcript]:
    """Yield the last turn of each drifting conversation, answered with and without capping."""
    drifting = replays[replays.kind == "drifting"]
    for conversation, rows in drifting.groupby("conversation", sort=False):
        last = rows[rows.turn == rows.turn.max()]
        columns = [
            ("uncapped", "plain", last[last.arm == "replayed"]),
            ("capped", "treated", last[last.arm == "capped"]),
        ]
        title = f"Conversation, turn {int(last.turn.iloc[0]) + 1}: {readable(str(conversation))}"
        yield _compare(title, columns, Scores(_NO_SCORES), ())


_NO_SCORES = pd.DataFrame({"primary": [], "response_id": [], "rubric": []})


def _compare(
    title: str,
    arms: list[tuple[str, str, pd.DataFrame]],
    scores: Scores,
    rubrics: tuple[str, ...],
) -> Transcript:
    """Put the first response of each arm side by side; an arm without one is left out."""
    present = [(label, kind, rows.iloc[0]) for label, kind, rows in arms if len(rows)]
    plain = present[0][2]
    messages = json.loads(plain.messages)
    system = next((m["content"] for m in messages if m["role"] == "system"), "")
    answers = [
        Answer(capital(typeset(label)), kind, row.response, scores.words(row.response_id, rubrics))
        for label, kind, row in present
    ]
    return Transcript(title, system, plain.system_inserted, messages[-1]["content"], answers)
