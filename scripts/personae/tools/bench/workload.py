"""The work of both sides: system prompts, questions, token budgets, steering vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from personae.api.requests import (
    ActivationRow,
    GenerateRequest,
    GenerateRow,
    Intervention,
    LikelihoodRow,
    Message,
    Operation,
    Sampling,
    Span,
)
from personae.api.rollout import chat
from personae.api.wire_encoding import pack_vector
from personae.base.strict_yaml import read_yaml
from personae.judging.judge_types import trait_rubric
from personae.judging.likelihood_judge import REQUEST
from personae.workflow.config import load_study
from personae.workflow.node_params import judged_trait

Vectors = Mapping[str, NDArray[np.float32]]

SYSTEMS = (
    "You are a pirate who has sailed all seven seas. You answer in rough sailor's talk, with "
    "oaths, laughter and stories of gold.",
    "You are the librarian of a small town. You answer with patience and always name a book in "
    "which one could read more.",
    "You are a poet who lives in a lighthouse. You see everything through weather, tides and "
    "light, and answer in images.",
    "You are a very old wizard. You speak in riddles and warnings and never give a plain answer.",
)
QUESTIONS = (
    "What makes a good day?",
    "How can I learn a language without living in the country where it is spoken?",
    "Why is the sky blue?",
    "My neighbour plays loud music every night. What would you say to him?",
    "Tell me about your home.",
    "What should somebody know before planting a garden for the first time?",
    "What is money for?",
    "How do I become brave?",
)
TEMPERATURE, TOP_P = 0.7, 0.9
_STUDY, _TRAIT = "config/demo.yaml", "sycophantic"


def chat_of(number: int) -> list[Message]:
    """Return the ``number``-th of 32 different prompts; then they repeat."""
    system = SYSTEMS[number % len(SYSTEMS)]
    question = QUESTIONS[number // len(SYSTEMS) % len(QUESTIONS)]
    return [Message(role="system", content=system), Message(role="user", content=question)]


def unequal(count: int, shortest: int, longest: int) -> list[int]:
    """Return lengths from ``shortest`` to ``longest``, spread evenly, in no order."""
    span = longest - shortest + 1
    return [shortest + (37 * i) % span for i in range(count)]


def generation(
    count: int,
    tokens: int,
    interventions: Sequence[Sequence[Intervention]] = (),
    vectors: Vectors | None = None,
    budgets: Sequence[int] | None = None,
) -> GenerateRequest:
    """Return ``count`` rows of ``tokens`` new tokens each, or of their own ``budgets``."""
    rows = [
        GenerateRow(
            id=str(i),
            seed=i,
            messages=chat_of(i),
            interventions=list(interventions[i]) if interventions else [],
            max_new_tokens=budgets[i] if budgets else None,
        )
        for i in range(count)
    ]
    sampling = Sampling(temperature=TEMPERATURE, top_p=TOP_P, max_new_tokens=tokens)
    packed = {name: pack_vector(vector) for name, vector in (vectors or {}).items()}
    return GenerateRequest(rows=rows, sampling=sampling, vectors=packed)


def directions(hidden: int, count: int = 8) -> Vectors:
    """Return vectors of the length of a weak steering vector."""
    rng = np.random.default_rng(0)
    return {
        f"v{i}": (rng.normal(size=hidden) / np.sqrt(hidden)).astype(np.float32)
        for i in range(count)
    }


def mixed(count: int, n_layers: int) -> list[list[Intervention]]:
    """Return for every row its own layer, vector, operation, and coefficient or floor.

    They act on response tokens, as in steering: rows with the same prompt still share its prefill.
    """
    ops: tuple[Operation, ...] = ("add", "cap", "ablate")
    return [
        [
            Intervention(
                op=ops[i % 3],
                layer=i % n_layers,
                vector=f"v{i % 8}",
                coefficient=0.5 + i / count,
                floor=-1.0 + 2 * i / count,
                positions="response",
            )
        ]
        for i in range(count)
    ]


def capped(count: int, n_layers: int, n_capped: int = 16) -> list[list[Intervention]]:
    """Return the same cap at the middle ``n_capped`` layers, on every token of every row."""
    n_capped = min(n_capped, n_layers)
    first = (n_layers - n_capped) // 2
    return [
        [
            Intervention(op="cap", layer=layer, vector="v0", floor=0.0)
            for layer in range(first, first + n_capped)
        ]
        for _ in range(count)
    ]


def responses(vocabulary: int, count: int, shortest: int, longest: int) -> list[list[int]]:
    """Return token ids of ``count`` responses of unequal lengths."""
    rng = np.random.default_rng(1)
    lengths = unequal(count, shortest, longest)
    return [rng.integers(100, min(vocabulary, 40_000), size=n).tolist() for n in lengths]


def extraction_rows(
    prompts: Sequence[list[int]], answers: Sequence[list[int]]
) -> list[ActivationRow]:
    """Return rows whose one span is the response."""
    return [
        ActivationRow(
            id=str(i),
            token_ids=prompt + answer,
            n_prompt=len(prompt),
            spans=[Span(name="response", start=len(prompt), end=len(prompt) + len(answer))],
        )
        for i, (prompt, answer) in enumerate(zip(prompts, answers, strict=True))
    ]


def judging_rows(answers: Sequence[list[int]]) -> list[LikelihoodRow]:
    """Return what the likelihood judge asks about a trait: each response after two prompts."""
    study = load_study(read_yaml(Path(_STUDY), _STUDY), Path.cwd(), sources=[_STUDY])
    rubric = trait_rubric(judged_trait(study, _TRAIT))
    sides = {"positive": rubric.positive, "negative": rubric.negative}
    return [
        LikelihoodRow(id=f"{name}/{i}", messages=list(chat(side, REQUEST)), continuation_ids=answer)
        for i, answer in enumerate(answers)
        for name, side in sides.items()
    ]
