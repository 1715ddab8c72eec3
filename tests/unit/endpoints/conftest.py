"""A key and short pauses for every test, and a run that asks a misbehaving endpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from personae.endpoints.endpoint_settings import Endpoint as Settings
from personae.endpoints.runtime import Runtime
from personae.endpoints.spending import Budget

from .misbehaving import Behaviour, Endpoint

KEY = "planted-key-7f3a91"


@pytest.fixture(autouse=True)
def _fast_and_with_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_KEY", KEY)
    monkeypatch.setattr("personae.endpoints.retry_policy._FIRST_PAUSE", 0.02)
    monkeypatch.setattr("personae.endpoints.request_limits._FIRST_PAUSE", 0.02)


@pytest.fixture
def serve() -> Iterator[Callable[..., Endpoint]]:
    """Return a function that starts an endpoint with a behaviour."""
    with ExitStack() as stack:

        def start(behave: Behaviour, certificate: Path | None = None) -> Endpoint:
            return stack.enter_context(Endpoint(behave, certificate))

        yield start


@pytest.fixture
def runtime(tmp_path: Path) -> Callable[..., Runtime]:
    """Return a function that makes the runtime of a study with one endpoint, ``judge``."""

    def make(url: str, budget: Budget | None = None, **settings: Any) -> Runtime:
        defaults = {"timeout": 5.0, "attempts": 4}
        endpoint = Settings(
            base_url=url, model="judge", key_variable="PLANTED_KEY", **{**defaults, **settings}
        )
        return Runtime(
            "study", {"judge": endpoint}, tmp_path / "answers", budget or Budget(), 1.0, tmp_path
        )

    return make
