"""The embedding judge: is an answer closer to high or to low examples of the same thing?

Raw score: mean cosine of the answer with its nearest high examples minus that with its nearest low
ones, among labelled answers to *other* questions. A trait or role without examples is compared with
its two descriptions. It shares no weights with the generator.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from personae.data.table_values import DEFAULT
from personae.judging.calibration import Calibration
from personae.judging.engine_protocols import EmbeddingEngine
from personae.judging.judge_types import (
    EMBEDDING_KINDS,
    Judge,
    JudgeItem,
    JudgeVerdict,
    Rubric,
    verdict,
)
from personae.judging.labelled_set import Exemplar
from personae.science.score_levels import WORD_SCORES, WORDED

NAME: Final = "embedding"
_NEAREST: Final = 3

Vectors = NDArray[np.float32]


class EmbeddingJudge(Judge):
    """Scores answers by their distance from labelled ones."""

    name: str = NAME
    kinds = EMBEDDING_KINDS

    def __init__(
        self,
        engine: EmbeddingEngine,
        examples: Sequence[Exemplar],
        calibration: Calibration | None,
    ) -> None:
        self._engine, self._calibration = engine, calibration
        self._examples = list(examples)
        self._known: dict[str, Vectors] = {}

    def raw(self, rubrics: Sequence[Rubric], items: Sequence[JudgeItem]) -> list[list[float]]:
        """Return raw scores, one list per rubric; NaN for an empty answer."""
        sides = {
            rubric: (self._side(rubric, True), self._side(rubric, False)) for rubric in rubrics
        }
        self._embed(item.response for item in items)
        for pair in sides.values():
            self._embed(text for side in pair for _, text in side)
        return [[self._closer(sides[rubric], item) for item in items] for rubric in rubrics]

    def score(self, rubrics: Sequence[Rubric], items: Sequence[JudgeItem]) -> list[JudgeVerdict]:
        """Return calibrated verdicts; an empty answer is unscored.

        Rubrics whose verdict is a word need no calibration: the word is that of the nearest
        examples, and the score is 0 for the Assistant and 1 for any other speaker.
        """
        return [
            self._verdict(rubric, item, value)
            for rubric, values in zip(rubrics, self.raw(rubrics, items), strict=True)
            for item, value in zip(items, values, strict=True)
        ]

    def _verdict(self, rubric: Rubric, item: JudgeItem, value: float) -> JudgeVerdict:
        if math.isnan(value):
            return verdict(rubric, item, self.name, None, "", "empty_response")
        if rubric.kind in WORDED:
            word = self._nearest_word(rubric, item)
            score = WORD_SCORES[rubric.kind][word]
            return verdict(rubric, item, self.name, score, f"{value:.4f}")._replace(label=word)
        if self._calibration is None:
            raise ValueError(f"the {self.name} judge has no calibration; only raw() can be asked")
        score = self._calibration.score(self.name, rubric, value)
        return verdict(rubric, item, self.name, score, f"{value:.4f}")

    def _nearest_word(self, rubric: Rubric, item: JudgeItem) -> str:
        """Return the word whose examples, of other questions, are nearest to the answer."""
        texts: dict[str, list[str]] = {}
        for example in self._examples:
            other = example.question != item.question
            if example.kind == rubric.kind and example.name and other:
                texts.setdefault(example.name, []).append(example.response)
        here = self._known[item.response]
        return max(texts, key=lambda word: self._nearest(here, texts[word]))

    def _side(self, rubric: Rubric, high: bool) -> list[tuple[str, str]]:
        """Return (question, text) of one side's examples; a description where there is none."""
        found = [
            (e.question, e.response)
            for e in self._examples
            if e.kind == rubric.kind and e.high == high and _belongs(e, rubric, high)
        ]
        description = rubric.positive if high else rubric.negative
        return found or [("", description)]

    def _embed(self, texts: Iterable[str]) -> None:
        """Embed texts in one request; examples that many nodes ask for get one of their own.

        The embedder keeps its latest answers. The bits of an embedding depend on the request.
        """
        new = [text for text in dict.fromkeys(texts) if text and text not in self._known]
        if new:
            self._known.update(zip(new, self._engine.embed(new), strict=True))

    def _closer(
        self, sides: tuple[list[tuple[str, str]], list[tuple[str, str]]], item: JudgeItem
    ) -> float:
        if not item.response:
            return math.nan
        here = self._known[item.response]
        high, low = (
            self._nearest(here, [text for question, text in side if question != item.question])
            for side in sides
        )
        return high - low

    def _nearest(self, here: Vectors, texts: Sequence[str]) -> float:
        if not texts:
            return 0.0
        cosines = np.stack([self._known[text] for text in texts]) @ here
        return float(np.sort(cosines)[-_NEAREST:].mean())


def _belongs(example: Exemplar, rubric: Rubric, high: bool) -> bool:
    """Role answers out of role are low examples of every role."""
    if rubric.kind == "role_adherence" and not high:
        return example.target in (DEFAULT, rubric.target)
    return example.target == rubric.target
