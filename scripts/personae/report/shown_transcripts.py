"""Responses to the same question without intervention, steered and capped, side by side.

Questions are selected by order, not by effect: the first of each trait, role and conversation.
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


class ShownAnswer(NamedTuple):
    """One column: the intervention's label, the response and its scores."""

    label: str
    kind: str
    text: str
    scores: list[str]


class ArmComparison(NamedTuple):
    """The same question under several interventions.

    Attributes
    ----------
    title
        Subject of the comparison.
    system
        System prompt; empty if none was sent.
    inserted
        Default system prompt that the chat template inserted; empty if none.
    question
        The user's (last) message.
    answers
        Columns, the one without intervention first.
    """

    title: str
    system: str
    inserted: str
    question: str
    answers: list[ShownAnswer]


class ShownScores:
    """Scores of the primary judge by response and rubric, as text."""

    def __init__(self, table: pd.DataFrame) -> None:
        primary = table[table.primary.astype(bool)]
        self._found = {
            (row.response_id, row.rubric): (row.score, row.reason) for row in primary.itertuples()
        }

    def words(self, response_id: str, rubrics: Iterable[str]) -> list[str]:
        """Return ``trait 72`` for a score, ``trait unscored (reason)`` without one."""
        found = []
        for rubric in rubrics:
            if (response_id, rubric) not in self._found:
                continue
            score, reason = self._found[response_id, rubric]
            digits = ".1f" if rubric == "role_adherence" else ".0f"
            value = f"unscored ({reason})" if pd.isna(score) else format(score, digits)
            found.append(f"{readable(rubric)} {value}")
        return found


def take_turns(groups: Iterable[Iterator[ArmComparison]], most: int) -> list[ArmComparison]:
    """Take one comparison of each group in turn, at most ``most`` in total."""
    rounds = itertools.zip_longest(*groups)
    return [t for t in itertools.chain.from_iterable(rounds) if t is not None][:most]


def steered(
    responses: pd.DataFrame, scores: ShownScores, effects: pd.DataFrame, coherence_floor: float
) -> Iterator[ArmComparison]:
    """Yield each trait's first question unsteered, steered both ways, and along a random direction.

    The coefficient is the largest whose mean coherence (``effects`` of the primary judge) is at
    least the floor, or else the smallest.
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


def capped(
    responses: pd.DataFrame, scores: ShownScores, suite: str, title: str
) -> Iterator[ArmComparison]:
    """Yield each persona's first question uncapped, capped, and capped along a random direction.

    The setting is the first band at the percentile nearest to the published 25. For conversations
    the last turn is shown.
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


def replayed(replays: pd.DataFrame) -> Iterator[ArmComparison]:
    """Yield the last turn of each drifting conversation, with and without capping."""
    drifting = replays[replays.kind == "drifting"]
    for conversation, rows in drifting.groupby("conversation", sort=False):
        last = rows[rows.turn == rows.turn.max()]
        columns = [
            ("uncapped", "plain", last[last.arm == "replayed"]),
            ("capped", "treated", last[last.arm == "capped"]),
        ]
        title = f"Conversation, turn {int(last.turn.iloc[0]) + 1}: {readable(str(conversation))}"
        yield _compare(title, columns, ShownScores(_NO_SCORES), ())


_NO_SCORES = pd.DataFrame({"primary": [], "response_id": [], "rubric": []})


def _compare(
    title: str,
    arms: list[tuple[str, str, pd.DataFrame]],
    scores: ShownScores,
    rubrics: tuple[str, ...],
) -> ArmComparison:
    """Compare the first response of each arm; arms without one are omitted."""
    present = [(label, kind, rows.iloc[0]) for label, kind, rows in arms if len(rows)]
    plain = present[0][2]
    messages = json.loads(plain.messages)
    system = next((m["content"] for m in messages if m["role"] == "system"), "")
    answers = [
        ShownAnswer(
            capital(typeset(label)), kind, row.response, scores.words(row.response_id, rubrics)
        )
        for label, kind, row in present
    ]
    return ArmComparison(title, system, plain.system_inserted, messages[-1]["content"], answers)
