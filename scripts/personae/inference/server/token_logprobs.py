"""Log-probabilities of an answer's tokens, in OpenAI's form, from what any engine offers.

The log-probability of token ``i`` is that of the first ``i + 1`` tokens without that of the first
``i``: every beginning of an answer is scored, which costs as much as the square of its length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from personae.api.requests import GenerateRequest, GenerateRow, LikelihoodRequest, LikelihoodRow
from personae.inference.engine_errors import RequestError
from personae.inference.server.backend import Backend, GeneratedResponse, SpeakingBackend


def with_logprobs(
    engine: Backend, request: GenerateRequest, check: Callable[[], None]
) -> tuple[list[GeneratedResponse], list[dict[str, Any]]]:
    """Return the responses in the order of their ids, and ``logprobs`` for each of them.

    Log-probabilities are natural, of the model's own distribution with the request's interventions,
    without temperature and top-p; they leave out the token that ends a turn.

    Parameters
    ----------
    check
        Called between batches; raises to give up the work.

    Raises
    ------
    RequestError
        When the engine cannot tell the text of tokens.
    """
    if not isinstance(engine, SpeakingBackend):
        raise RequestError("logprobs are not offered by this engine; leave them out")
    heard: dict[str, list[str]] = {row.id: [] for row in request.rows}
    found = engine.generate_aloud(
        request, lambda *_: check(), lambda name, text: heard[name].append(text)
    )
    results = sorted(found, key=lambda result: int(result.id))
    asked = {row.id: row for row in request.rows}
    tokens = [_pieces(heard[result.id], result) for result in results]
    scores = [_scores(engine, asked[r.id], r, request, check) for r in results]
    return results, [
        {"content": [_token(*pair) for pair in zip(texts, values, strict=True)], "refusal": None}
        for texts, values in zip(tokens, scores, strict=True)
    ]


def _pieces(heard: Sequence[str], result: GeneratedResponse) -> list[str]:
    """Return what every token added to the text; nothing while a character was incomplete."""
    count = len(result.response_ids)
    # The last token of an answer that was cut off finished it, and was not told before.
    told = [*heard[: count - 1], result.text]
    texts = [text.rstrip("\N{REPLACEMENT CHARACTER}") for text in told]
    begun = ["", *texts[:-1]]
    return [text[len(before) :] for text, before in zip(texts, begun, strict=True)][:count]


def _scores(
    engine: Backend,
    row: GenerateRow,
    result: GeneratedResponse,
    request: GenerateRequest,
    check: Callable[[], None],
) -> list[float]:
    """Return the log-probability of every token of a response."""
    ids = list(result.response_ids)
    if not ids:
        return []
    rows = [
        LikelihoodRow(
            id=str(end),
            messages=row.messages,
            continuation_ids=ids[:end],
            interventions=row.interventions,
        )
        for end in range(1, len(ids) + 1)
    ]
    scored = engine.loglikelihood(
        LikelihoodRequest(rows=rows, vectors=request.vectors), lambda *_: check()
    )
    sums = [0.0, *(r.sum_logprob for r in sorted(scored, key=lambda one: int(one.id)))]
    return [min(after - before, 0.0) for before, after in pairwise(sums)]


def _token(text: str, logprob: float) -> dict[str, Any]:
    return {
        "token": text,
        "logprob": logprob,
        "bytes": list(text.encode()),
        "top_logprobs": [],
    }
