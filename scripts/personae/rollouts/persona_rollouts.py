"""Rollouts of roles and traits: messages, ids and seeds.

System prompts are sent as written; ``None`` means that no system prompt is sent at all. A trait's
system prompt is "You are a(n) {adjective} assistant. {instruction}" (PV, artifacts).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from personae.api.rollout import Questions, Rollout, chat, seed_of
from personae.personas.system_prompts import trait_prompt


def role_rollouts(
    *,
    role: str,
    prompts: Sequence[str | None],
    questions: Mapping[str, Questions],
    samples: int,
    model_name: str,
    seed: int,
) -> list[Rollout]:
    """Cross a role's system prompts with the questions of both splits (AA, rollouts).

    Parameters
    ----------
    questions
        Maps a split to pairs of question id and text.
    model_name
        Replaces ``{model_name}`` in a system prompt (used by the default Assistant).
    """
    return [
        Rollout(
            id=f"{role}-p{index}-{question_id}-s{sample}",
            messages=chat(None if prompt is None else _named(prompt, model_name), text),
            seed=seed_of(seed, "role", role, index, question_id, sample),
            columns={
                "role": role,
                "prompt_index": index,
                "question_id": question_id,
                "question": text,
                "split": split,
                "sample": sample,
            },
        )
        for split, asked in questions.items()
        for index, prompt in enumerate(prompts)
        for question_id, text in asked
        for sample in range(samples)
    ]


def _named(prompt: str, model_name: str) -> str:
    # Not str.format, so that braces in a user's prompt stay as they are.
    return prompt.replace("{model_name}", model_name)


def trait_rollouts(
    *,
    trait: str,
    polarity: str,
    adjective: str,
    instructions: Sequence[str],
    questions: Questions,
    samples: int,
    seed: int,
) -> list[Rollout]:
    """Cross the instructions of one polarity with the extraction questions (PV, rollouts)."""
    return [
        Rollout(
            id=f"{trait}-{polarity}-p{pair}-{question_id}-s{sample}",
            messages=chat(trait_prompt(adjective, instruction), text),
            seed=seed_of(seed, "trait", trait, polarity, pair, question_id, sample),
            columns={
                "trait": trait,
                "polarity": polarity,
                "pair": pair,
                "question_id": question_id,
                "question": text,
                "sample": sample,
            },
        )
        for pair, instruction in enumerate(instructions)
        for question_id, text in questions
        for sample in range(samples)
    ]
