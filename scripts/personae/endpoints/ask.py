"""Ask an endpoint many things: each once, within all limits, every answer kept at once."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import uvloop

from personae.endpoints.answer_store import AnswerStore
from personae.endpoints.answers import Body, digest
from personae.endpoints.batch import Batch, Outcome
from personae.endpoints.batch_end import NoLogprobsError
from personae.endpoints.runtime import Runtime

__all__ = ["NoLogprobsError", "Outcome", "ask_all"]


def ask_all(
    name: str, bodies: Sequence[Body], runtime: Runtime, *, most_failures: int | None = None
) -> list[Outcome]:
    """Return the outcome of every request, in order; equal requests are sent once.

    Parameters
    ----------
    name
        Of the endpoint.
    bodies
        Requests, from `personae.endpoints.answers.make_body`.
    runtime
        Endpoints, budget, and where answers are kept.
    most_failures
        More requests given up than this end the batch; by default any number may fail.

    Raises
    ------
    PersonaeError
        One line, without key: the endpoint refuses everything, too much fails, the budget is used
        up, or answers cannot be kept. Every answer until then is kept.
    """
    endpoint = runtime.endpoint(name)
    with AnswerStore(runtime.root / runtime.answers) as store:
        keys = [digest(endpoint.base_url, body) for body in bodies]
        found: dict[str, Outcome] = dict(store.known(keys))
        wanted = {k: b for k, b in zip(keys, bodies, strict=True) if k not in found}
        if wanted:
            batch = Batch(name, endpoint, runtime, store)
            limit = len(wanted) if most_failures is None else most_failures
            with _few_collections():
                found |= uvloop.run(batch.run(wanted, kept=len(found), most_failures=limit))
    return [found[key] for key in keys]


@contextmanager
def _few_collections() -> Iterator[None]:
    """Leave what is loaded already out of garbage collections, which else stall all requests."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
