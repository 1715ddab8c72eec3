"""Log-probabilities of tokens in OpenAI's two formats, computed by `Backend.loglikelihood`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from personae.api.requests import (
    GenerateRequest,
    GenerateRow,
    LikelihoodRequest,
    LikelihoodResult,
    LikelihoodRow,
)
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
    if not result.response_ids:
        return []
    scored = LikelihoodRow(
        id=row.id,
        messages=row.messages,
        prompt=row.prompt,
        continuation_ids=list(result.response_ids),
        interventions=row.interventions,
    )
    asked = LikelihoodRequest(rows=[scored], vectors=request.vectors, per_token=True)
    (found,) = engine.loglikelihood(asked, lambda *_: check())
    return found.logprobs


def echoed_logprobs(
    engine: Backend,
    request: GenerateRequest,
    results: Sequence[GeneratedResponse],
    check: Callable[[], None],
) -> list[dict[str, Any]]:
    """Return ``logprobs`` of plain completions for prompt and response together.

    The first token has none, and neither has the one that ended a response, which is named ``end``:
    clients count on one entry for each token that was generated. The others are named
    ``token_id:<id>``, as their text alone does not say which they are. ``top_logprobs`` holds the
    token, and the most likely one as ``best`` where that is another.
    """
    asked = {row.id: row for row in request.rows}
    rows = []
    for result in results:
        first, *rest = (*result.prompt_ids, *result.response_ids)
        acting = asked[result.id].interventions
        rows.append(
            LikelihoodRow(id=result.id, prompt=[first], continuation_ids=rest, interventions=acting)
        )
    scored = LikelihoodRequest(rows=rows, vectors=request.vectors, per_token=True)
    found = {one.id: one for one in engine.loglikelihood(scored, lambda *_: check())}
    ended = [result.finish_reason == "stop" for result in results]
    return [_plain(row, found[row.id], end) for row, end in zip(rows, ended, strict=True)]


def require_all_positions(request: GenerateRequest) -> None:
    """Refuse interventions at prompt or response tokens only, for a text that is scored whole.

    Raises
    ------
    RequestError
        Such an intervention would act at other tokens than in generation.
    """
    if any(i.positions != "all" for row in request.rows for i in row.interventions):
        raise RequestError("echo needs interventions at all positions; leave out echo or logprobs")


def _plain(row: LikelihoodRow, found: LikelihoodResult, ended: bool) -> dict[str, Any]:
    ids = [*(row.prompt or ()), *(row.continuation_ids or ())]
    names = [f"token_id:{token}" for token in ids]
    pairs = zip(names[1:], found.logprobs, found.best_logprobs, strict=True)
    top = [{name: own} if own >= best else {name: own, "best": best} for name, own, best in pairs]
    end = [None] if ended else []
    return {
        "tokens": [*names, *("end" for _ in end)],
        "token_logprobs": [None, *found.logprobs, *end],
        "top_logprobs": [None, *top, *end],
        "text_offset": [],
    }


def _token(text: str, logprob: float) -> dict[str, Any]:
    return {
        "token": text,
        "logprob": logprob,
        "bytes": list(text.encode()),
        "top_logprobs": [],
    }
