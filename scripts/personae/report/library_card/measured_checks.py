"""Checks that need models: near-duplicates by sentence embedding, and opposition of instructions.

Two judges test whether the sides of an instruction pair are opposed. The embedder compares each
side with the adjectives of the trait and of its opposite. The likelihood judge tests which
adjective, in a system prompt, makes the side's text more likely. Neither is exact: they separate 80
% of the shipped pairs of single sentences and at least 90 % of whole traits' instructions. Review
pairs that both miss.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from personae.api.requests import LikelihoodRow
from personae.api.rollout import chat
from personae.judging.engine_protocols import EmbeddingEngine, LikelihoodEngine
from personae.personas.library import Library
from personae.personas.library.text_inventory import LibraryText
from personae.personas.system_prompts import trait_prompt

Opposing = Literal["embedding", "likelihood"]
NEAR: Final = 0.8
"""Texts are near-duplicates if the cosine of their MiniLM embeddings is at least this."""
TOLD_APART: Final = 0.7
"""Minimum share of pairs whose sides a judge must separate; chance is 0.5."""
# Graded prompts, and the adjectives of the trait space, are similar on purpose.
_NOT_COMPARED: Final = ("rubric", "adjective", "monitoring")
_REQUEST: Final = "How should you answer?"


class SimilarPair(NamedTuple):
    """Two texts of one kind with the cosine of their embeddings."""

    left: LibraryText
    right: LibraryText
    cosine: float


class Contrast(NamedTuple):
    """Two adjectives and the two texts that should match them."""

    place: str
    name: str
    antonym: str
    positive: str
    negative: str


class NearestTexts(NamedTuple):
    """Result for texts of one part and kind: their number and the closest pairs."""

    part: str
    kind: str
    n: int
    closest: list[SimilarPair]


def nearest(engine: EmbeddingEngine, places: Iterable[LibraryText]) -> list[NearestTexts]:
    """Return the up to 20 closest pairs of texts of each part and kind, closest first.

    Texts of one group are not compared.
    """
    families: dict[tuple[str, str], list[LibraryText]] = defaultdict(list)
    for place in places:
        if not place.kind.startswith(_NOT_COMPARED):
            families[_family(place)].append(place)
    return [
        NearestTexts(part, kind, len(members), _closest(engine, members))
        for (part, kind), members in families.items()
    ]


def _family(place: LibraryText) -> tuple[str, str]:
    """Questions of both splits are compared with each other, a trait's only within the trait."""
    part = "questions" if place.kind == "question" else place.part
    return part, "question" if place.kind.startswith("question") else place.kind


def _closest(
    engine: EmbeddingEngine, places: Sequence[LibraryText], most: int = 20
) -> list[SimilarPair]:
    vectors = engine.embed([place.text for place in places])
    cosines = vectors @ vectors.T
    groups, kinds = (np.asarray([getattr(p, name) for p in places]) for name in ("group", "kind"))
    apart = (groups[:, None] != groups[None]) & (kinds[:, None] == kinds[None])
    cosines[~np.triu(apart, k=1)] = -np.inf
    order = np.argsort(cosines, axis=None)[::-1][:most]
    rows, columns = np.unravel_index(order, cosines.shape)
    return [
        SimilarPair(places[i], places[j], float(cosines[i, j]))
        for i, j in zip(rows, columns, strict=True)
        if np.isfinite(cosines[i, j])
    ]


def contrasts(library: Library, part: str) -> Iterator[Contrast]:
    """Yield the instruction pairs of the traits or of the trait space."""
    if part == "trait_space":
        for slug, short in library.trait_space.items():
            yield Contrast(slug, short.name, short.antonym, short.positive, short.negative)
        return
    for slug, trait in library.traits.items():
        for index, pair in enumerate(trait.pairs):
            place = f"{slug}.pairs[{index}]"
            yield Contrast(place, trait.name, trait.antonym, pair.positive, pair.negative)


class OpposingEngine(EmbeddingEngine, LikelihoodEngine, Protocol):
    """An engine that embeds texts and scores likelihoods."""


def margins(
    engine: OpposingEngine, pairs: Sequence[Contrast], judge: Opposing
) -> NDArray[np.float64]:
    """Return how strongly the two sides of every pair are opposed; positive means opposed.

    Returns
    -------
    ``[n]``: half the difference between matching and crossed (adjective, side) combinations, in
    cosines or in mean log-probability per token (nats).
    """
    if not pairs:
        return np.empty(0)
    return {"embedding": _by_embedding, "likelihood": _by_likelihood}[judge](engine, pairs)


def _margin(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over matching minus crossed combinations; ``[n, 2 adjectives, 2 sides]`` to ``[n]``."""
    fits, crosses = table[:, 0, 0] + table[:, 1, 1], table[:, 0, 1] + table[:, 1, 0]
    return np.asarray((fits - crosses) / 2)


def _by_embedding(engine: OpposingEngine, pairs: Sequence[Contrast]) -> NDArray[np.float64]:
    words = engine.embed([word for pair in pairs for word in (pair.name, pair.antonym)])
    sides = engine.embed([side for pair in pairs for side in (pair.positive, pair.negative)])
    by_pair = [v.reshape(len(pairs), 2, -1).astype(np.float64) for v in (words, sides)]
    return _margin(np.einsum("nwd,nsd->nws", *by_pair))


def _by_likelihood(engine: OpposingEngine, pairs: Sequence[Contrast]) -> NDArray[np.float64]:
    rows = [
        LikelihoodRow(
            id=f"{index}-{word}-{side}",
            messages=list(chat(trait_prompt(adjective, "").strip(), _REQUEST)),
            continuation=text,
        )
        for index, pair in enumerate(pairs)
        for word, adjective in enumerate((pair.name, pair.antonym))
        for side, text in enumerate((pair.positive, pair.negative))
    ]
    means = [result.sum_logprob / result.n_tokens for result in engine.loglikelihood(rows)]
    return _margin(np.asarray(means).reshape(len(pairs), 2, 2))
