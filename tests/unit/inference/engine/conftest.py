"""Fixtures of the engine's tests: one thread, and tiny models built once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from personae.inference.torch_engine.model_loading import LoadedModel

from .families import FAMILIES, load_tiny


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=FAMILIES, scope="session")
def family(request: pytest.FixtureRequest) -> LoadedModel:
    """Every family's tiny model, one after the other."""
    return load_tiny(request.param)


@pytest.fixture(scope="session")
def tiny() -> LoadedModel:
    """A tiny Llama 3."""
    return load_tiny("llama3")
