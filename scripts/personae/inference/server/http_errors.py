"""Errors of requests: their HTTP status, their one-line message, and what is logged."""

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
    """The work was cancelled: its client disconnected, or the server is shutting down."""


class NotReadyError(Exception):
    """A request arrived before the model was loaded."""


STATUS: dict[type[Exception], int] = {
    UnknownModelError: 404,  # as at other endpoints
    RequestError: 400,
    ModelError: 400,
    GivenUpError: 503,
    NotReadyError: 503,
    # An error of the engine, not of the request.
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
    """Return the first of pydantic's errors as one line, with the number of the others."""
    first, *others = errors
    where = place(first["loc"])
    text = first["msg"].removeprefix("Value error, ")
    more = f" (and {len(others)} more)" if others else ""
    return f"{where}: {text}{more}" if where else f"{text}{more}"


def log_failure(what: str, error: BaseException) -> None:
    """Log one line for an error of the request, and the traceback of any other error."""
    trace = error if status_of(error) == 500 else None
    LOG.warning("%s: %s: %s", what, type(error).__name__, one_line(error), exc_info=trace)
