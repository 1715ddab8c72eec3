"""Cost of capping: likelihood of uncapped neutral responses, and accuracy on closed questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from personae.api.requests import Intervention, LikelihoodResult, LikelihoodRow, Message
from personae.api.rollout import messages_of
from personae.science.capping_arms import CappingArm

Caps = tuple[Intervention, ...]


def neutral_rows(answers: pa.Table, caps: Caps, n_questions: int) -> list[LikelihoodRow]:
    """Build requests that score the default Assistant's held-out responses under ``caps``.

    Uses the saved token ids of the responses to the first ``n_questions`` held-out questions; empty
    responses are skipped.
    """
    rows = [row for row in answers.to_pylist() if row["split"] == "heldout" and row["response_ids"]]
    kept = list(dict.fromkeys(row["question_id"] for row in rows))[:n_questions]
    return [
        LikelihoodRow(
            id=row["response_id"],
            messages=messages_of(row),
            continuation_ids=row["response_ids"],
            interventions=list(caps),
        )
        for row in rows
        if row["question_id"] in kept
    ]


def neutral_values(
    arm: CappingArm, rows: Sequence[LikelihoodRow], results: Sequence[LikelihoodResult]
) -> list[dict[str, Any]]:
    """Return the mean log-probability per token (nats) of each response."""
    return [
        {
            **arm.columns(),
            "measure": "neutral_log_likelihood",
            "item": row.id,
            "value": result.sum_logprob / result.n_tokens,
            "n_tokens": result.n_tokens,
        }
        for row, result in zip(rows, results, strict=True)
    ]


def closed_rows(items: Sequence[Mapping[str, Any]], caps: Caps) -> list[LikelihoodRow]:
    """Build requests that score every choice of every closed question as the reply."""
    return [
        LikelihoodRow(
            id=f"{item['id']}/{index}",
            messages=[Message(role="user", content=item["question"])],
            continuation=choice,
            interventions=list(caps),
        )
        for item in items
        for index, choice in enumerate(item["choices"])
    ]


def closed_values(
    arm: CappingArm, items: Sequence[Mapping[str, Any]], results: Sequence[LikelihoodResult]
) -> list[dict[str, Any]]:
    """Return 1 where the correct choice is the most likely one, else 0.

    # ASSUME: choices are compared by log-probability per token, so that long choices are not
    # penalised for their length.
    """
    values = []
    remaining = iter(results)
    for item in items:
        scored = [next(remaining) for _ in item["choices"]]
        means = [result.sum_logprob / result.n_tokens for result in scored]
        values.append(
            {
                **arm.columns(),
                "measure": "closed_accuracy",
                "item": item["id"],
                "value": float(means.index(max(means)) == item["answer"]),
                "n_tokens": sum(result.n_tokens for result in scored),
            }
        )
    return values
