"""From personas and questions to rollouts: the messages, the identity and the seed of each.

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
    """Cross a role's system prompts with the questions of both splits.

    Parameters
    ----------
    questions
        Split name to pairs of question id and text.
    model_name
        Takes the place of ``{model_name}`` in a system prompt (the default Assistant has one).
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
    # Not str.format: a brace in a user's own prompt is just a brace.
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
    """Cross one side's instructions with a trait's extraction questions."""
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
