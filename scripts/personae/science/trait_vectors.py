"""Trait rollouts of both polarities: the cells that worked, and the vectors that they give.

A cell is one (prompt pair, question). Vectors point toward the trait; layer ``l`` is the residual
stream after block ``l``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from personae.base.errors import PersonaeError
from personae.data import tables
from personae.data.judge_scores import check_unscored, in_order, primary_scores
from personae.data.matching_ids import answered, check_ids
from personae.data.table_values import TRAIT_SPANS
from personae.data.vector_stacks import of_span, stack, vector_rows
from personae.science.reliability import split_half_reliability
from personae.science.vectors import EffectivePairs, Ratings, effective_pairs, trait_vectors

_SPLITS: Final = 100


@dataclass(frozen=True)
class Side:
    """The rollouts of one polarity that have activations, in one order.

    Attributes
    ----------
    ratings
        Pair, question, trait score and coherence of each rollout.
    spans
        Span name to ``[n, layers, hidden]`` float32.
    layers
        Layers of axis 1.
    """

    ratings: Ratings
    spans: dict[str, NDArray[np.float32]]
    layers: list[int]


def load_side(files: Mapping[str, str], max_unscored: float) -> Side:
    """Read ``responses``, ``scores`` and ``activations`` of one polarity.

    Raises
    ------
    PersonaeError
        When too many responses are unscored.
    """
    table = tables.read(files["responses"], "trait_responses")
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
        trait=np.asarray(in_order(trait, ids)),
        coherence=np.asarray(in_order(coherence, ids)),
    )
    spans = {name: found_stack.select(ids).vectors for name, found_stack in stacks.items()}
    return Side(ratings, spans, stacks[TRAIT_SPANS[0]].layers)


class CellFilter(NamedTuple):
    """Which (pair, question) cells of a trait have worked.

    Attributes
    ----------
    min_trait
        Positive side at least this, negative side less (PV, filter); None asks for neither.
    min_coherence
        Both sides at least this coherent.
    min_difference
        Positive minus negative at least this (AA, trait space); None does not ask for it.
    min_cells
        Fewest cells that make a vector of effective cells.
    """

    min_trait: float | None
    min_coherence: float
    min_difference: float | None = None
    min_cells: int = 1

    def effective(self, positive: Ratings, negative: Ratings) -> EffectivePairs:
        """Return the cells that worked."""
        return effective_pairs(
            positive,
            negative,
            min_trait=self.min_trait,
            min_coherence=self.min_coherence,
            min_difference=self.min_difference,
        )


def _select(positive: Side, negative: Side, wanted: CellFilter) -> tuple[str, EffectivePairs]:
    """Return the effective cells, or all coherent ones of a trait without a single effective cell.

    # ASSUME: the paper only reports traits that have effective pairs. A model too small to show a
    # trait still gets a vector, from all coherent cells, so that the failure can be measured; its
    # ``selection`` says so, and every figure of it is marked.
    """
    sides = (positive.ratings, negative.ratings)
    kept = wanted.effective(*sides)
    if kept.n_kept >= wanted.min_cells:
        return "effective", kept
    kept = effective_pairs(*sides, min_trait=None, min_coherence=wanted.min_coherence)
    if kept.n_kept:
        return "coherent", kept
    return "all", effective_pairs(*sides, min_trait=None, min_coherence=0.0)


def vector_table(
    trait: str,
    positive: Side,
    negative: Side,
    wanted: CellFilter,
    *,
    seed: int,
) -> pa.Table:
    """Return the trait's vectors in three variants with their split-half reliability.

    Raises
    ------
    PersonaeError
        When no cell has a scored rollout on both sides.
    """
    selection, kept = _select(positive, negative, wanted)
    vectors = trait_vectors(positive.spans, negative.spans, kept)
    if vectors is None:
        raise PersonaeError(
            f"trait {trait!r}: no (pair, question) has a scored response on both sides; "
            "generate more rollouts or look at the reasons in its scores"
        )
    parts = [
        pa.table(
            {
                "trait": [trait] * len(family),
                "variant": [variant] * len(family),
                "selection": [selection] * len(family),
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
    positive: Side, negative: Side, kept: EffectivePairs, variant: str, seed: int
) -> NDArray[np.float64]:
    weights = np.concatenate(
        [kept.positive / kept.positive.sum(), -(kept.negative / kept.negative.sum())]
    )
    activations = np.concatenate([positive.spans[variant], negative.spans[variant]])
    questions = np.concatenate([positive.ratings.question, negative.ratings.question])
    return split_half_reliability(activations, weights, questions, splits=_SPLITS, seed=seed).cosine


def pair_table(trait: str, positive: Side, negative: Side, wanted: CellFilter) -> pa.Table:
    """Return one row per cell: mean scores of both sides, and whether the cell is effective."""
    kept = wanted.effective(positive.ratings, negative.ratings)
    effective = set(_cells(positive.ratings, kept.positive))
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
                "effective": cell in effective,
            }
        )
    return tables.from_rows(rows, "trait_pairs")


def _cells(ratings: Ratings, mask: NDArray[np.bool_] | None = None) -> list[tuple[int, str]]:
    pairs, questions = np.asarray(ratings.pair), np.asarray(ratings.question)
    rows = range(len(pairs)) if mask is None else np.flatnonzero(mask)
    return [(int(pairs[i]), str(questions[i])) for i in rows]


def _mean(values: NDArray[np.float64]) -> float | None:
    return float(values.mean()) if values.size else None
