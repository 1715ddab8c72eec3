"""Send many requests to an endpoint: each once, within all limits, with every answer stored."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence

import uvloop

from personae.endpoints.answer_database import AnswerDatabase
from personae.endpoints.chat_answer import ChatAnswer
from personae.endpoints.chat_request import Body, answer_key
from personae.endpoints.request_batch import NoLogprobsError, Outcome, RequestBatch
from personae.endpoints.runtime import Runtime

__all__ = ["NoLogprobsError", "Outcome", "ask_all"]


def ask_all(
    name: str,
    bodies: Sequence[Body],
    runtime: Runtime,
    *,
    most_failures: int | None = None,
    accepts: Callable[[int, ChatAnswer], bool] = lambda index, answer: not answer.is_blank,
    may_be_blank: bool = False,
) -> list[Outcome]:
    """Return the outcome of every request, in order; equal requests are sent once.

    Parameters
    ----------
    name
        Name of the endpoint.
    bodies
        Requests, from `personae.endpoints.chat_request.make_body`.
    runtime
        Endpoints, budget, and the folder of stored answers.
    most_failures
        The batch ends when more requests than this have failed; by default any number may.
    accepts
        Whether a stored answer of an earlier run may be used for the request with that index.
        Otherwise the request is sent again, once per run.
    may_be_blank
        Whether an empty text is a valid answer. Otherwise it counts as a server fault.

    Raises
    ------
    PersonaeError
        One line, without the key: the endpoint refuses all requests, too many requests failed,
        the budget is used up, answers cannot be stored, or the workflow has ended. All answers so
        far are stored.
    """
    url = runtime.endpoint(name).base_url
    keys = [answer_key(url, body) for body in bodies]
    with AnswerDatabase(runtime.root / runtime.answers) as database:
        known = database.known(keys)
        found: dict[str, Outcome] = {
            key: known[key]
            for index, key in enumerate(keys)
            if key in known and (may_be_blank or accepts(index, known[key]))
        }
        wanted = {k: b for k, b in zip(keys, bodies, strict=True) if k not in found}
        if wanted:
            limit = len(wanted) if most_failures is None else most_failures
            batch = RequestBatch(name, runtime, database, limit, may_be_blank)
            gc.freeze()  # collecting everything loaded so far would stall all requests
            try:
                found |= uvloop.run(batch.run(wanted, len(found)))
            finally:
                gc.unfreeze()
    return [found[key] for key in keys]
