"""Log-probabilities of an answer's tokens in OpenAI's format, computed by `Backend.loglikelihood`.

The log-probability of token ``i`` is that of the first ``i + 1`` tokens minus that of the first
``i``. Every prefix of an answer is scored, so the cost grows with the square of its length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from personae.api.requests import GenerateRequest, GenerateRow, LikelihoodRequest, LikelihoodRow
from personae.inference.engine_errors import RequestError
from personae.inference.server.backend import Backend, GeneratedResponse, StreamingBackend


def with_logprobs(
    engine: Backend, request: GenerateRequest, check: Callable[[], None]
) -> tuple[list[GeneratedResponse], list[dict[str, Any]]]:
    """Return the responses in the order of their ids, and ``logprobs`` for each of them.

    Log-probabilities are in nats, of the model's distribution with the request's interventions and
    without temperature and top-p. The token that ends a turn is left out.

    Parameters
    ----------
    check
        Called between batches; raises to cancel the work.

    Raises
    ------
    RequestError
        If the engine cannot report the text of tokens.
    """
    if not isinstance(engine, StreamingBackend):
        raise RequestError("logprobs are not offered by this engine; leave them out")
    heard: dict[str, list[str]] = {row.id: [] for row in request.rows}
    found = engine.generate_streaming(
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
    """Return the text that every token added; empty while a character is incomplete."""
    count = len(result.response_ids)
    # The last token of a truncated answer finished it, so it was not reported before.
    grown = [*heard[: count - 1], result.text]
    texts = [text.rstrip("\N{REPLACEMENT CHARACTER}") for text in grown]
    before = ["", *texts[:-1]]
    return [text[len(start) :] for text, start in zip(texts, before, strict=True)][:count]


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
            prompt=row.prompt,
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
