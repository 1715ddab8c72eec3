"""Scaled positions: a row gives the same result alone and in a batch, up to the model's length."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import transformers
from numpy.typing import NDArray

from personae.api.requests import ActivationRow, ActivationsRequest, GenerateRow, Sampling, Span
from personae.inference.engine_errors import RequestError
from personae.inference.torch_engine.activations import activations
from personae.inference.torch_engine.model_loading import LoadedModel, wrap_model

from . import templates
from .asking import generate, generate_request, user
from .families import FAMILIES, make_model, make_tokenizer

ORIGINAL = 64
POSITIONS = 512
FACTORS = {"short_factor": [1.0] * 4, "long_factor": [4.0, 6.0, 8.0, 16.0]}
LONGROPE = {"rope_type": "longrope", "rope_theta": 10000.0, **FACTORS}
DYNAMIC = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0}
# Keyword of the configuration, and where transformers 5 has the original length.
CASES: dict[str, tuple[str, dict[str, Any], int]] = {
    "longrope, attribute": (
        "Phi3",
        {"rope_parameters": LONGROPE, "original_max_position_embeddings": ORIGINAL},
        ORIGINAL,
    ),
    "longrope, of old": (
        "Phi3",
        {
            "rope_scaling": {"type": "longrope", **FACTORS},
            "original_max_position_embeddings": ORIGINAL,
        },
        ORIGINAL,
    ),
    "longrope, parameter": (
        "Llama",
        {"rope_parameters": LONGROPE | {"original_max_position_embeddings": ORIGINAL}},
        ORIGINAL,
    ),
    "longrope, per layer type": (
        "Gemma3Text",
        {
            "layer_types": ["sliding_attention", "full_attention"],
            "sliding_window": 32,
            "rope_parameters": {
                "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
                "full_attention": LONGROPE | {"original_max_position_embeddings": ORIGINAL},
            },
        },
        ORIGINAL,
    ),
    # Its frequencies change from the last position on only.
    "dynamic": ("Llama", {"rope_parameters": DYNAMIC}, POSITIONS),
}


def _load(kind: str, extra: dict[str, Any]) -> LoadedModel:
    """Return a tiny model of a class with its positions scaled."""
    tokenizer = make_tokenizer(templates.PHI3)
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=POSITIONS,
        initializer_range=0.4,
        pad_token_id=257,
        eos_token_id=257,
        **{name: dict(v) if isinstance(v, dict) else v for name, v in extra.items()},
    )
    torch.manual_seed(0)
    name = f"{kind.removesuffix('Text')}ForCausalLM"
    return wrap_model(getattr(transformers, name)(config), tokenizer)


@pytest.fixture(params=CASES.values(), ids=CASES, scope="module")
def scaled(request: pytest.FixtureRequest) -> tuple[LoadedModel, int]:
    """A model of each kind of scaled positions, and its length."""
    kind, extra, length = request.param
    return _load(kind, extra), length


def _row(name: str, length: int) -> ActivationRow:
    ids = [(7 * i + len(name)) % 250 for i in range(length)]
    span = Span(name="all", start=1, end=length)
    return ActivationRow(id=name, token_ids=ids, n_prompt=1, spans=[span])


def _activations(loaded: LoadedModel, *rows: ActivationRow) -> NDArray[np.float32]:
    """Return the activations of the first row, computed in one batch with the others."""
    results = activations(loaded, ActivationsRequest(rows=list(rows)))
    [own] = [result for result in results if result.id == rows[0].id]
    return own.vectors


def test_the_length_is_what_does_not_depend_on_the_batch(scaled: tuple[LoadedModel, int]) -> None:
    loaded, length = scaled
    assert loaded.max_length == length


def test_other_scaled_positions_keep_their_length() -> None:
    loaded = wrap_model(make_model("llama3"), make_tokenizer(FAMILIES["llama3"].template))
    assert loaded.model.config.rope_parameters["original_max_position_embeddings"] == ORIGINAL
    assert loaded.max_length == POSITIONS


def test_a_row_beside_the_longest_is_as_it_is_alone(scaled: tuple[LoadedModel, int]) -> None:
    loaded, length = scaled
    short, longest = _row("short", 20), _row("longest", loaded.max_length)
    alone = _activations(loaded, short)
    beside = _activations(loaded, short, longest)
    assert np.abs(beside - alone).max() <= 1e-5 * np.abs(alone).max()
    with pytest.raises(RequestError, match=f"{length + 1}"):
        _activations(loaded, short, _row("longer", length + 1))


def test_a_response_is_not_generated_over_the_length(scaled: tuple[LoadedModel, int]) -> None:
    loaded, length = scaled
    rows = [GenerateRow(id=f"{n}", seed=0, messages=user("x" * n)) for n in (3, length - 20)]
    sampling = Sampling(temperature=0, max_new_tokens=8)
    alone = [generate(loaded, generate_request([row], sampling))[0] for row in rows]
    together = generate(loaded, generate_request(rows, sampling))
    assert [r.response_ids for r in together] == [r.response_ids for r in alone]
    over = GenerateRow(id="over", seed=0, messages=user("x" * (length - 8)))
    with pytest.raises(RequestError, match=f"exceed the model's {length}"):
        generate(loaded, generate_request([over], sampling))
