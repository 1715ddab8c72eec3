"""Errors of engine, server and client; each message is one line that a user can act on."""

from __future__ import annotations

from personae.base.errors import PersonaeError


class EngineError(PersonaeError):
    """The model server cannot be reached, could not load, refused a request, or ended."""


class ModelError(PersonaeError):
    """A model cannot be prepared or loaded as asked."""


class RequestError(PersonaeError):
    """A request does not fit the loaded model."""


class UnknownModelError(RequestError):
    """A request names a model that is not served."""


class InterventionError(RuntimeError):
    """An intervention did not act where it had to."""
