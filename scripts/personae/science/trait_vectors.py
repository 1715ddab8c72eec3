"""Trait rollouts of both polarities: which of them the filter keeps, and the vectors they give.

A cell is one (prompt pair, question). Vectors point toward the trait; layer ``l`` is the residual
stream after block ``l``.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from personae.data import tables
from personae.data.judge_scores import check_unscored, in_order, primary_scores
from personae.data.matching_ids import answered, check_ids
from personae.data.table_values import TRAIT_SPANS
from personae.data.vector_stacks import of_span, stack, vector_rows
from personae.science.reliability import split_half_reliability
from personae.science.trait_filter import EffectivePairs, Pairing, Ratings, effective_pairs
from personae.science.vectors import trait_vectors

LOG = logging.getLogger("personae")

_SPLITS: Final = 100
_ANSWERS: Final = ("response_id", "pair", "question_id", "sample", "response_ids")


@dataclass(frozen=True)
class TraitSide:
    """The rollouts of one polarity that have activations, in one order.

    Attributes
    ----------
    ratings
        Pair, question, sample, trait score and coherence of each rollout.
    spans
        Span name to ``[n, layers, hidden]`` float32.
    layers
        Layers of axis 1.
    """

    ratings: Ratings
    spans: dict[str, NDArray[np.float32]]
    layers: list[int]


def load_side(files: Mapping[str, str], max_unscored: float) -> TraitSide:
    """Read ``responses``, ``scores`` and ``activations`` of one polarity.

    Raises
    ------
    PersonaeError
        When too many responses are unscored.
    """
    table = tables.read(files["responses"], "trait_responses", _ANSWERS)
    responses = table.to_pylist()
    scores = tables.read(files["scores"], "scores")
    trait, coherence = (primary_scores(scores, rubric) for rubric in ("trait", "coherence"))
    check_ids(files["scores"], trait, table["response_id"].to_pylist(), files["responses"])
    check_unscored(trait, max_unscored, files["scores"])
    activations = tables.read(files["activations"], "activations")
    stacks = {span: stack(of_span(activations, span), "response_id") for span in TRAIT_SPANS}
    found = set(stacks[TRAIT_SPANS[0]].keys)
    check_ids(files["activations"], found, answered(table), files["responses"])
    kept = [row for row in responses if row["response_id"] in found]
    ids = [row["response_id"] for row in kept]
    ratings = Ratings(
        pair=np.asarray([row["pair"] for row in kept]),
        question=np.asarray([row["question_id"] for row in kept]),
        sample=np.asarray([row["sample"] for row in kept]),
        trait=np.asarray(in_order(trait, ids)),
        coherence=np.asarray(in_order(coherence, ids)),
    )
    spans = {name: found_stack.select(ids).vectors for name, found_stack in stacks.items()}
    return TraitSide(ratings, spans, stacks[TRAIT_SPANS[0]].layers)


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
        Both sides at least this coherent.
    min_difference
        Positive minus negative at least this (AA, trait space); ``None`` does not ask for it.
    min_kept
        Fewest kept units that make a vector; a trait with fewer is dropped.
    """

    pairing: Pairing
    min_trait: float | None
    min_coherence: float
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


def vector_table(
    trait: str, positive: TraitSide, negative: TraitSide, wanted: TraitFilter, *, seed: int
) -> pa.Table:
    """Return the trait's vectors in three variants with their split-half reliability (PV, vectors).

    A trait of which the filter keeps too little has no vector: the table is then without rows, the
    log says why, and nodes that need the vector write tables without rows in turn.

    Returns
    -------
    pa.Table
        Columns of ``trait_vectors``; ``vector`` is the mean over kept positive minus that over kept
        negative rollouts, toward the trait, in the residual stream after block ``layer``.
        ``selection`` is the pairing of the filter and ``n_cells`` the units that it kept.
    """
    kept = wanted.effective(positive.ratings, negative.ratings)
    if kept.n_kept < max(wanted.min_kept, 1):
        LOG.warning(
            "trait %s is dropped: the filter (%s) keeps %d of %d, fewer than %d; %d lack a score",
            *(trait, wanted.pairing, kept.n_kept, kept.n_units),
            *(max(wanted.min_kept, 1), kept.n_unscored),
        )
        return tables.assemble([], "trait_vectors")
    vectors = trait_vectors(positive.spans, negative.spans, kept)
    parts = [
        pa.table(
            {
                "trait": [trait] * len(family),
                "variant": [variant] * len(family),
                "selection": [wanted.pairing] * len(family),
                "n_cells": [kept.n_kept] * len(family),
                "norm": np.linalg.norm(family, axis=-1),
                "split_half": _reliability(positive, negative, kept, variant, seed),
                **vector_rows(family, positive.layers),
            }
        )
        for variant, family in vectors.items()
    ]
    return tables.assemble(parts, "trait_vectors")


def _reliability(
    positive: TraitSide, negative: TraitSide, kept: EffectivePairs, variant: str, seed: int
) -> NDArray[np.float64]:
    weights = np.concatenate(
        [kept.positive / kept.positive.sum(), -(kept.negative / kept.negative.sum())]
    )
    activations = np.concatenate([positive.spans[variant], negative.spans[variant]])
    questions = np.concatenate([positive.ratings.question, negative.ratings.question])
    return split_half_reliability(activations, weights, questions, splits=_SPLITS, seed=seed).cosine


def pair_table(
    trait: str, positive: TraitSide, negative: TraitSide, wanted: TraitFilter
) -> pa.Table:
    """Mean scores of every (pair, question) cell and what the filter keeps of it (PV, filter).

    Parameters
    ----------
    trait
        Name that is written to the table.
    positive, negative
        Judged rollouts of both polarities.
    wanted
        The filter.

    Returns
    -------
    pa.Table
        Columns of ``trait_pairs``, one row per cell: mean trait score and coherence (0-100) of the
        scored rollouts of both sides, null without one; ``n_kept`` positive rollouts that enter the
        vector; ``effective`` where there is any.
    """
    kept = wanted.effective(positive.ratings, negative.ratings)
    entering = Counter(_cells(positive.ratings, kept.positive))
    rows = []
    for cell in sorted({*_cells(positive.ratings), *_cells(negative.ratings)}):
        means = {}
        scored = unscored = 0
        for name, side in (("positive", positive.ratings), ("negative", negative.ratings)):
            here = np.asarray([c == cell for c in _cells(side)])
            good = here & side.scored()
            scored, unscored = scored + int(good.sum()), unscored + int((here & ~good).sum())
            means[name] = _mean(np.asarray(side.trait)[good])
            means[f"{name}_coherence"] = _mean(np.asarray(side.coherence)[good])
        rows.append(
            {
                "trait": trait,
                "pair": cell[0],
                "question_id": cell[1],
                **means,
                "n_scored": scored,
                "n_unscored": unscored,
                "filter": wanted.pairing,
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
