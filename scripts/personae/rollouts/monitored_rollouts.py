"""Rollouts under graded system prompts and after example exchanges (PV, monitoring)."""

from __future__ import annotations

from collections.abc import Sequence

from personae.api.requests import Message
from personae.api.rollout import Questions, Rollout, chat, seed_of
from personae.data.table_values import MANY_SHOT, SYSTEM_PROMPT


def monitoring_rollouts(
    *,
    trait: str,
    prompts: Sequence[str],
    examples: Sequence[Sequence[str]],
    shots: Sequence[int],
    questions: Questions,
    samples: int,
    seed: int,
) -> list[Rollout]:
    """Cross every question with every graded system prompt and with example exchanges.

    Parameters
    ----------
    prompts
        System prompts from suppressing to inducing; the index is the grade.
    examples, shots
        Pairs of user and assistant text that show the trait, and the numbers of them to prepend
        without a system prompt; that number is the grade.
    """
    conditions: list[tuple[str, int, tuple[Message, ...]]] = [
        (SYSTEM_PROMPT, grade, (Message(role="system", content=prompt),))
        for grade, prompt in enumerate(prompts)
    ]
    conditions += [(MANY_SHOT, n, _shots(examples[:n])) for n in shots]
    return [
        Rollout(
            id=f"{trait}-{kind}-{grade}-{question_id}-s{sample}",
            messages=(*before, *chat(None, text)),
            seed=seed_of(seed, "monitoring", trait, kind, grade, question_id, sample),
            columns={
                "trait": trait,
                "kind": kind,
                "grade": grade,
                "question_id": question_id,
                "question": text,
                "sample": sample,
            },
        )
        for kind, grade, before in conditions
        for question_id, text in questions
        for sample in range(samples)
    ]


def _shots(examples: Sequence[Sequence[str]]) -> tuple[Message, ...]:
    return tuple(
        message
        for user, assistant in examples
        for message in (
            Message(role="user", content=user),
            Message(role="assistant", content=assistant),
        )
    )
