"""The likelihood judge: which of two opposed system prompts makes an answer more likely?

Raw score of role adherence and traits: mean log-probability per token of the answer under the
positive system prompt minus that under the negative one, in nats. The user's turn is the same
neutral request for all answers: with the real question the AUC on the labelled set is no better,
and with one prefix per prompt every answer shares its computation. The judge needs no network, and
it shares its weights with the generator: the embedding judge is always reported beside it.

Raw score of coherence: mean log-probability per token of the unsteered model under a neutral prompt
and the real question, plus weights times the share of distinct words, which loops lack, and the
share of letters in dictionary words, which gibberish lacks. To a language model a loop is likely:
on written answers likelihood alone is no better than chance (AUC 0.51), on steered responses it is
the best single sign (0.96). All three together reach 0.91 on both (docs/judging.md).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Final

from personae.api.requests import LikelihoodRow
from personae.api.rollout import chat
from personae.judging.calibration import Calibration
from personae.judging.engine_protocols import LikelihoodEngine
from personae.judging.judge_types import NEUTRAL, Judge, JudgeItem, JudgeVerdict, Rubric, verdict
from personae.judging.surface_features import dictionary_share

NAME: Final = "likelihood"
REQUEST: Final = "Tell me something."
_DISTINCT_WEIGHT: Final = 8.0  # nats; AUC 0.90 to 0.91 between 4 and 8
_DICTIONARY_WEIGHT: Final = 12.0  # nats; AUC 0.90 to 0.91 between 8 and 12

Asked = tuple[str, str, JudgeItem]


class LikelihoodJudge(Judge):
    """Scores answers by contrast of their likelihood under two prompts."""

    name = NAME

    def __init__(self, engine: LikelihoodEngine, calibration: Calibration | None) -> None:
        self._engine, self._calibration = engine, calibration

    def raw(self, rubrics: Sequence[Rubric], items: Sequence[JudgeItem]) -> list[list[float]]:
        """Return raw scores, one list per rubric; NaN for an empty answer."""
        wanted = [
            (*context, item)
            for rubric in rubrics
            for item in items
            if item.response
            for context in _contexts(rubric, item)
        ]
        means = self._means(dict.fromkeys(wanted))
        return [
            [
                _raw(
                    rubric, item, [means.get((*c, item), math.nan) for c in _contexts(rubric, item)]
                )
                for item in items
            ]
            for rubric in rubrics
        ]

    def score(self, rubrics: Sequence[Rubric], items: Sequence[JudgeItem]) -> list[JudgeVerdict]:
        """Return calibrated verdicts; an empty answer is unscored."""
        if self._calibration is None:
            raise ValueError("the likelihood judge has no calibration; only raw() can be asked")
        verdicts = []
        for rubric, values in zip(rubrics, self.raw(rubrics, items), strict=True):
            for item, value in zip(items, values, strict=True):
                if math.isnan(value):
                    verdicts.append(verdict(rubric, item, NAME, None, "", "empty_response"))
                else:
                    score = self._calibration.score(NAME, rubric, value)
                    verdicts.append(verdict(rubric, item, NAME, score, f"{value:.4f}"))
        return verdicts

    def _means(self, asked: Iterable[Asked]) -> dict[Asked, float]:
        """Mean log-probability per token of every answer in every context."""
        keys = list(asked)
        rows = [
            LikelihoodRow(
                id=str(number),
                messages=list(chat(system, question)),
                continuation=None if item.response_ids else item.response,
                continuation_ids=list(item.response_ids) or None,
            )
            for number, (system, question, item) in enumerate(keys)
        ]
        results = self._engine.loglikelihood(rows) if rows else []
        return {
            key: result.sum_logprob / result.n_tokens
            for key, result in zip(keys, results, strict=True)
        }


def _contexts(rubric: Rubric, item: JudgeItem) -> list[tuple[str, str]]:
    """System prompt and user's turn of every likelihood that a rubric needs."""
    sides = [(rubric.positive, REQUEST), (rubric.negative, REQUEST)]
    return [(NEUTRAL, item.question)] if rubric.kind == "coherence" else sides


def _raw(rubric: Rubric, item: JudgeItem, values: Sequence[float]) -> float:
    """Raw score from the means in the contexts of a rubric."""
    if rubric.kind == "coherence":
        repeated, known = distinct_share(item.response), dictionary_share(item.response)
        return values[0] + _DISTINCT_WEIGHT * repeated + _DICTIONARY_WEIGHT * known
    return values[0] - values[1]


def distinct_share(text: str) -> float:
    """Share of distinct words among all words of a text; 0 for a text without words."""
    words = re.findall(r"\w+", text.lower())
    return len(set(words)) / len(words) if words else 0.0
