"""What ends a batch, in one line each: the place, what is wrong there, and the remedy."""

from __future__ import annotations

from personae.base.errors import PersonaeError
from personae.endpoints.answers import Budget, Charge
from personae.endpoints.batch_progress import Tally
from personae.endpoints.cache_location import VARIABLE, limits_root
from personae.endpoints.endpoint_settings import Endpoint
from personae.endpoints.error_meaning import Hopeless, Passing


class NoLogprobsError(PersonaeError):
    """The endpoint gives no log-probabilities; the same can be asked in words."""


def refused(name: str, endpoint: Endpoint, error: Hopeless) -> PersonaeError:
    """Return the error of an endpoint that refuses every request."""
    return PersonaeError(
        f"endpoints.{name}: {endpoint.base_url} refuses model {endpoint.model!r} ({error}); check "
        f"base_url, model and the key in {endpoint.key_variable}"
    )


def too_much_failed(name: str, tally: Tally, detail: str) -> PersonaeError:
    """Return the error of a batch of which more failed than may, the last with ``detail``."""
    return PersonaeError(
        f"endpoints.{name}: {tally.failed} of {tally.total} requests failed, the last with "
        f"{detail}; what was answered is kept: run again when it is well"
    )


def long_wait(name: str, error: Passing, seconds: float) -> PersonaeError:
    """Return the error of an endpoint that asks to wait longer than a job should."""
    return PersonaeError(
        f"endpoints.{name}: the endpoint asks to wait {seconds / 60.0:.0f} minutes ({error}); run "
        "again then: what was answered is kept"
    )


def used_up(budget: Budget, spent: Charge) -> PersonaeError:
    """Return the error of a study that may send or pay no more."""
    return PersonaeError(
        f"judging: the budget is used up (max_requests = {budget.requests}, max_cost = "
        f"{budget.cost}; {spent.requests} requests and ${spent.cost:.4f} so far); raise it and run "
        "again: what was answered is kept"
    )


def told(error: Exception) -> Exception:
    """Return an error as it is to be raised: of files, those of the limits alone come here."""
    if not isinstance(error, OSError):
        return error
    return PersonaeError(
        f"{limits_root()}: the limits of endpoints cannot be kept there ({error}); make room, "
        f"allow more open files (ulimit -n), or set {VARIABLE} to another folder. What was "
        "answered is kept: run again"
    )
