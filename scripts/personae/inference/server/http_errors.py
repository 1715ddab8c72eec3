"""How the server tells a request's failure: an HTTP status, one line, and what its log keeps."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from personae.base.validation_messages import place
from personae.inference.engine_errors import (
    InterventionError,
    ModelError,
    RequestError,
    UnknownModelError,
)

LOG = logging.getLogger(__name__)


class GivenUpError(Exception):
    """Nobody waits for this work any more, or the server was told to end."""


class NotReadyError(Exception):
    """A request came before the model was loaded."""


STATUS: dict[type[Exception], int] = {
    UnknownModelError: 404,  # as other endpoints say it
    RequestError: 400,
    ModelError: 400,
    GivenUpError: 503,
    NotReadyError: 503,
    # Foreseen, but a fault of the engine and not of the request.
    InterventionError: 500,
    Exception: 500,
}


def status_of(error: BaseException) -> int:
    """Return the HTTP status for an error."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def one_line(error: BaseException) -> str:
    """Return an error's text without line breaks, or its type if it has none."""
    return " ".join(str(error).split()) or type(error).__name__


def first_problem(errors: Sequence[Any]) -> str:
    """Return the first of pydantic's complaints as one line, with the number of the others."""
    first, *others = errors
    where = place(first["loc"])
    text = first["msg"].removeprefix("Value error, ")
    more = f" (and {len(others)} more)" if others else ""
    return f"{where}: {text}{more}" if where else f"{text}{more}"


def log_failure(what: str, error: BaseException) -> None:
    """Log one line for what a user can mend, and the traceback of everything else."""
    trace = error if status_of(error) == 500 else None
    LOG.warning("%s: %s: %s", what, type(error).__name__, one_line(error), exc_info=trace)
