"""Span means layer by layer, and what bfloat16 streams keep: accumulation, floors, bits.

Every layer and span is measured on its own scale: relative to the largest layer, errors of the
first ones would be invisible, as random layers let the stream grow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from personae.api.requests import ActivationRow, ActivationsRequest, Intervention, Span
from personae.inference.torch_engine.activations import activations
from personae.inference.torch_engine.model_loading import LoadedModel

from .families import FAMILIES, load_tiny
from .streams import VECTORS, streams, token_row

LONG = [int(i) for i in np.random.default_rng(4).integers(0, 256, size=250)]
UNIT = VECTORS["axis"].astype(np.float64) / np.linalg.norm(VECTORS["axis"])


@pytest.fixture(scope="module", params=FAMILIES)
def half(request: pytest.FixtureRequest, device: str) -> LoadedModel:
    """Every family's tiny model in bfloat16, on every device."""
    return load_tiny(request.param, torch.bfloat16, device=device)


def _row(name: str, length: int) -> ActivationRow:
    spans = [
        Span(name="all", start=0, end=length),
        Span(name="late", start=length // 3, end=length - 1),
        Span(name="one", start=length - 2, end=length - 1),
    ]
    return ActivationRow(id=name, token_ids=LONG[-length:], n_prompt=length // 3, spans=spans)


def _hidden_states(loaded: LoadedModel, ids: Sequence[int]) -> NDArray[np.float64]:
    """Return transformers' hidden states of one row, [layers, tokens, hidden].

    The last one is what enters the final norm: transformers gives only what leaves it.
    """
    decoder, last = loaded.model.get_decoder(), []

    def keep(module: nn.Module, args: tuple[Any, ...]) -> None:
        last.append(args[0])

    handle = decoder.norm.register_forward_pre_hook(keep)
    with torch.inference_mode():
        output = decoder(
            input_ids=torch.tensor([ids], device=loaded.device),
            output_hidden_states=True,
            use_cache=False,
        )
    handle.remove()
    states: NDArray[np.float64] = (
        torch.cat([*output.hidden_states[1:-1], *last]).double().cpu().numpy()
    )
    return states


def _errors(
    loaded: LoadedModel, rows: Sequence[ActivationRow], tokens: int = 32768
) -> dict[tuple[str, str], NDArray[np.float64]]:
    """Return, by row and span, how far each layer's mean is from float64's, on its own scale."""
    states = {row.id: _hidden_states(loaded, row.token_ids) for row in rows}
    spans = {(row.id, span.name): span for row in rows for span in row.spans}
    errors = {}
    for result in activations(loaded, ActivationsRequest(rows=list(rows)), tokens):
        span = spans[result.id, result.span]
        expected = states[result.id][:, span.start : span.end].mean(1)
        apart = np.abs(result.vectors - expected).max(1) / np.abs(expected).max(1)
        errors[result.id, result.span] = apart
    assert errors.keys() == spans.keys()
    return errors


def test_every_layers_span_means_are_right_on_their_own_scale(placed_family: LoadedModel) -> None:
    """Rows of very different lengths, padded in a batch, in small batches and alone."""
    rows = [_row(f"{i}", length) for i, length in enumerate((9, 60, 23, 140, 12))]
    for batch, tokens in ((rows, 32768), (rows, 200), *(([row], 32768) for row in rows)):
        for errors in _errors(placed_family, batch, tokens).values():
            assert errors.max() <= 1e-5


def test_means_of_bfloat16_streams_are_accumulated_in_float32(half: LoadedModel) -> None:
    """250 tokens: sums kept in bfloat16 would lose all but two digits."""
    row = _row("a", len(LONG))
    errors = _errors(half, [row])
    assert max(error.max() for error in errors.values()) <= 2e-6
    assert not errors["a", "one"].any(), "one token's mean is its stream, bit for bit"
    # Its own rounding would be seen: the means are no bfloat16 numbers.
    [mean] = [
        s.vectors for s in activations(half, ActivationsRequest(rows=[row])) if s.span == "all"
    ]
    rounded = torch.from_numpy(mean).bfloat16().float().numpy()
    assert (np.abs(rounded - mean).max(1) > 1e-4 * np.abs(mean).max(1)).all()


def _half_ulps(stream: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return by how much rounding to bfloat16, of 8 significant bits, may have moved numbers."""
    exponent = np.frexp(stream)[1]  # |x| < 2 ** exponent
    halves: NDArray[np.float64] = np.ldexp(1.0, exponent - 9)
    return halves


def test_capped_bfloat16_streams_are_at_the_floor_but_for_their_rounding(half: LoadedModel) -> None:
    ids = LONG[:60]
    plain = streams(half, [token_row("x", ids, 20)])["x"]
    for layer in range(half.n_layers):
        floor = float(np.median(plain[layer] @ UNIT))
        cap = Intervention(op="cap", layer=layer, vector="axis", floor=floor)
        capped = streams(half, [token_row("x", ids, 20, [cap])])["x"][layer]
        low = plain[layer] @ UNIT < floor
        assert low.sum() == 30
        assert (capped[~low] == plain[layer][~low]).all(), "not a bit above the floor"
        # Computed in float32, every number is within its own rounding of the exact result.
        wide = plain[layer].astype(np.float64)
        exact = wide + np.outer(np.maximum(floor - wide @ UNIT, 0), UNIT)
        rounding = _half_ulps(capped) + 1e-6 * np.abs(wide).max(-1, keepdims=True)
        assert (np.abs(capped - exact) <= rounding).all()
        # So no projection is further below the floor than the rounding of all numbers can bring it.
        assert (capped @ UNIT >= floor - rounding @ np.abs(UNIT)).all()
