"""Retries of requests after transient failures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from personae.endpoints.endpoint_errors import TransientError

_FIRST_PAUSE: Final = 0.5  # seconds before the second try
_LONGEST_PAUSE: Final = 60.0
_BILLED_TRIES: Final = 3  # tries of a request whose unusable replies may have been billed


def retrying(attempts: int, on_retry: Callable[[TransientError], None]) -> AsyncRetrying:
    """Return the retries of one request; ``on_retry`` is called before each of them."""

    def tried_enough(state: RetryCallState) -> bool:
        tries = state.attempt_number
        return tries >= attempts or (tries >= _BILLED_TRIES and _failure(state).billed)

    return AsyncRetrying(
        retry=retry_if_exception_type(TransientError),
        stop=tried_enough,
        wait=_wait,
        before_sleep=lambda state: on_retry(_failure(state)),
        reraise=True,
    )


def _failure(state: RetryCallState) -> TransientError:
    assert state.outcome is not None
    return cast("TransientError", state.outcome.exception())


def _wait(state: RetryCallState) -> float:
    """Return the seconds before the next try: what the endpoint asks for, else a growing time."""
    if (asked := _failure(state).retry_after) is not None:
        return min(asked, _LONGEST_PAUSE)
    return wait_random_exponential(_FIRST_PAUSE, max=_LONGEST_PAUSE)(state)
