"""Trait rollouts of both polarities: which of them the filter keeps, and the vectors they give.

A cell is one (prompt pair, question). Vectors point toward the trait; layer ``l`` is the residual
stream after block ``l``.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from personae.data import tables
from personae.data.activation_blocks import Block
from personae.data.judge_scores import check_unscored, in_order, primary_scores
from personae.data.matching_ids import answered, check_ids
from personae.data.vector_stacks import vector_rows
from personae.science.activation_sums import CellSums, Sums, question_folds
from personae.science.reliability import (
    Reliability,
    SummedContrast,
    reliability_columns,
    split_half_reliability,
)
from personae.science.trait_filter import EffectivePairs, Pairing, Ratings, effective_pairs

LOG = logging.getLogger("personae")

BoolArray = NDArray[np.bool_]

_SPLITS: Final = 100
_FOLDS: Final = 20  # a trait's 20 questions are told apart, the 240 of the trait space are not
_ANSWERS: Final = ("response_id", "pair", "question_id", "sample", "response_ids")


class TraitSide(NamedTuple):
    """The rollouts of one polarity that have a response, in the order of their table.

    Attributes
    ----------
    ids
        ``n`` rollouts.
    ratings
        Pair, question, sample, trait score and coherence of each rollout.
    """

    ids: list[str]
    ratings: Ratings


def load_side(
    responses: str, scores: str, *, max_unscored: float, min_coherence: float | None
) -> TraitSide:
    """Read ``trait_responses`` and ``scores`` of one polarity.

    ``min_coherence`` is that of the filter; with None coherence is not read, and need not have been
    judged.

    Raises
    ------
    PersonaeError
        When too many responses are unscored.
    """
    table = tables.read(responses, "trait_responses", _ANSWERS)
    judged = tables.read(scores, "scores")
    trait = primary_scores(judged, "trait")
    check_ids(scores, trait, table["response_id"].to_pylist(), responses)
    check_unscored(trait, max_unscored, scores)
    found = set(answered(table))
    kept = [row for row in table.to_pylist() if row["response_id"] in found]
    ids = [row["response_id"] for row in kept]
    coherence = None
    if min_coherence is not None:
        coherence = np.asarray(in_order(primary_scores(judged, "coherence"), ids))
    ratings = Ratings(
        pair=np.asarray([row["pair"] for row in kept]),
        question=np.asarray([row["question_id"] for row in kept]),
        sample=np.asarray([row["sample"] for row in kept]),
        trait=np.asarray(in_order(trait, ids)),
        coherence=coherence,
    )
    return TraitSide(ids, ratings)


class TraitFilter(NamedTuple):
    """Criteria for the rollouts of a trait vector, see `effective_pairs`.

    Attributes
    ----------
    pairing
        ``"rows"`` (the reference code) or ``"cell_means"``.
    min_trait
        Positive side at least this, negative side less than 100 minus this (PV, filter); ``None``
        asks for neither.
    min_coherence
        Both sides at least this coherent; ``None`` does not ask for it.
    min_difference
        Positive minus negative at least this (AA, trait space); ``None`` does not ask for it.
    min_kept
        Fewest kept units that make a vector; a trait with fewer is dropped.
    """

    pairing: Pairing
    min_trait: float | None
    min_coherence: float | None
    min_difference: float | None = None
    min_kept: int = 1

    def effective(self, positive: Ratings, negative: Ratings) -> EffectivePairs:
        """Return the rollouts that are kept."""
        return effective_pairs(
            positive,
            negative,
            pairing=self.pairing,
            min_trait=self.min_trait,
            min_coherence=self.min_coherence,
            min_difference=self.min_difference,
        )


class TraitSums:
    """Takes blocks of one polarity and adds up the rollouts that the filter keeps.

    Parameters
    ----------
    side, keep
        The rollouts, and which of them are kept ``[n]``.
    folds
        Question to its fold.
    spans
        Spans that are added up, each by itself.
    """

    def __init__(
        self, side: TraitSide, keep: BoolArray, folds: Mapping[str, int], spans: Sequence[str]
    ) -> None:
        questions = np.asarray(side.ratings.question)
        cells = {side.ids[i]: folds[str(questions[i])] for i in np.flatnonzero(keep)}
        self._sums = {span: CellSums(cells, 1 + max(folds.values(), default=0)) for span in spans}

    def add(self, block: Block) -> None:
        """Add what is kept of a block."""
        self._sums[block.span].add(block)

    def of(self, span: str) -> Sums:
        """Return the sums of one span by fold."""
        return self._sums[span].sums()


class TraitContrast(NamedTuple):
    """A trait's judged rollouts and what the filter keeps of them.

    Attributes
    ----------
    trait
        The trait.
    sides
        Rollouts of the positive and of the negative polarity.
    wanted, kept
        The filter and its result.
    """

    trait: str
    sides: tuple[TraitSide, TraitSide]
    wanted: TraitFilter
    kept: EffectivePairs

    @classmethod
    def of(cls, trait: str, positive: TraitSide, negative: TraitSide, wanted: TraitFilter) -> Self:
        """Filter the rollouts of a trait."""
        kept = wanted.effective(positive.ratings, negative.ratings)
        return cls(trait, (positive, negative), wanted, kept)

    @property
    def is_dropped(self) -> bool:
        """Whether the filter keeps too little for a vector."""
        return self.kept.n_kept < max(self.wanted.min_kept, 1)

    def sinks(self, spans: Sequence[str]) -> tuple[TraitSums, TraitSums]:
        """Return what adds up the kept rollouts of both sides; none where the trait is dropped."""
        masks = self.kept.positive, self.kept.negative
        if self.is_dropped:
            masks = np.zeros_like(masks[0]), np.zeros_like(masks[1])
        named = [np.asarray(side.ratings.question).tolist() for side in self.sides]
        folds = question_folds(named[0] + named[1], _FOLDS)
        positive, negative = (
            TraitSums(side, mask, folds, spans)
            for side, mask in zip(self.sides, masks, strict=True)
        )
        return positive, negative


def vector_table(
    contrast: TraitContrast, sums: Sequence[TraitSums], spans: Sequence[str], *, seed: int
) -> pa.Table:
    """Return the trait's vectors, one for each span, with their reliability (PV, vectors).

    A trait of which the filter keeps too little has no vector: the table is then without rows, the
    log says why, and nodes that need the vector write tables without rows in turn.

    Parameters
    ----------
    contrast
        The trait and what is kept of it.
    sums
        Sums of the kept rollouts of the positive and of the negative side.
    spans
        Their spans, the variants of the vector.
    seed
        Of the halves of the questions.

    Returns
    -------
    pa.Table
        Columns of ``trait_vectors``; ``vector`` is the mean over kept positive minus that over kept
        negative rollouts, toward the trait, in the residual stream after block ``layer``.
        ``selection`` is the pairing of the filter and ``n_cells`` the units that it kept.
    """
    kept, wanted = contrast.kept, contrast.wanted
    if contrast.is_dropped:
        LOG.warning(
            "trait %s is dropped: the filter (%s) keeps %d of %d, fewer than %d; %d lack a score",
            *(contrast.trait, wanted.pairing, kept.n_kept, kept.n_units),
            *(max(wanted.min_kept, 1), kept.n_unscored),
        )
        return tables.assemble([], "trait_vectors")
    parts = []
    for span in spans:
        sides = [each.of(span) for each in sums]
        every = range(len(sides[0].counts))
        family = sides[0].mean(every) - sides[1].mean(every)
        columns = {
            "trait": [contrast.trait] * len(family),
            "variant": [span] * len(family),
            "selection": [wanted.pairing] * len(family),
            "n_cells": [kept.n_kept] * len(family),
            "norm": np.linalg.norm(family, axis=-1),
            **reliability_columns(_reliability(sides, seed)),
            **vector_rows(family, sides[0].layers),
        }
        parts.append(pa.table(columns))
    return tables.assemble(parts, "trait_vectors")


def _reliability(sides: Sequence[Sums], seed: int) -> Reliability:
    totals = [side.counts.sum() for side in sides]
    summed = SummedContrast(
        np.stack([side.vectors / n for side, n in zip(sides, totals, strict=True)]),
        np.stack([side.counts / n for side, n in zip(sides, totals, strict=True)]),
    )
    return split_half_reliability(summed, splits=_SPLITS, seed=seed)


def pair_table(contrast: TraitContrast) -> pa.Table:
    """Mean scores of every (pair, question) cell and what the filter keeps of it (PV, filter).

    Returns
    -------
    pa.Table
        Columns of ``trait_pairs``, one row per cell: mean trait score and coherence (0-100) of the
        scored rollouts of both sides, null without one; ``n_kept`` positive rollouts that enter the
        vector; ``effective`` where there is any.
    """
    positive, negative = contrast.sides
    entering = Counter(_cells(positive.ratings, contrast.kept.positive))
    rows = []
    for cell in sorted({*_cells(positive.ratings), *_cells(negative.ratings)}):
        means = {}
        scored = unscored = 0
        for name, side in (("positive", positive.ratings), ("negative", negative.ratings)):
            here = np.asarray([c == cell for c in _cells(side)])
            good = here & side.scored()
            scored, unscored = scored + int(good.sum()), unscored + int((here & ~good).sum())
            means[name] = _mean(np.asarray(side.trait)[good])
            if side.coherence is not None:
                means[f"{name}_coherence"] = _mean(np.asarray(side.coherence)[good])
        rows.append(
            {
                "trait": contrast.trait,
                "pair": cell[0],
                "question_id": cell[1],
                **means,
                "n_scored": scored,
                "n_unscored": unscored,
                "filter": contrast.wanted.pairing,
                "n_kept": entering[cell],
                "effective": entering[cell] > 0,
            }
        )
    return tables.from_rows(rows, "trait_pairs")


def _cells(ratings: Ratings, mask: NDArray[np.bool_] | None = None) -> list[tuple[int, str]]:
    pairs, questions = np.asarray(ratings.pair), np.asarray(ratings.question)
    rows = range(len(pairs)) if mask is None else np.flatnonzero(mask)
    return [(int(pairs[i]), str(questions[i])) for i in rows]


def _mean(values: NDArray[np.float64]) -> float | None:
    return float(values.mean()) if values.size else None
