"""Extraction: layers asked for, interventions that are measured, refusals, memory."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import pytest
import torch

from personae.api.requests import ActivationRow, ActivationsRequest, Intervention, Span
from personae.api.wire_encoding import pack_vector
from personae.inference.engine_errors import InterventionError, RequestError
from personae.inference.torch_engine.activations import activations
from personae.inference.torch_engine.model_loading import LoadedModel

from .asking import generate, generate_request, generate_rows, prompts


def _row(name: str, length: int, **changes: Any) -> ActivationRow:
    span = Span(name="response", start=length // 2, end=length)
    ids = [(7 * i) % 250 for i in range(length)]
    values: dict[str, Any] = {"id": name, "token_ids": ids, "n_prompt": 2, "spans": [span]}
    return ActivationRow(**{**values, **changes})


def test_layers_come_in_the_order_asked_for(tiny: LoadedModel) -> None:
    rows = [_row("a", 9), _row("b", 4)]
    full = list(activations(tiny, ActivationsRequest(rows=rows)))
    some = list(activations(tiny, ActivationsRequest(rows=rows, layers=[3, 0])))
    assert [r.id for r in full] == [r.id for r in some] == ["a", "b"]
    for a, b in zip(full, some, strict=True):
        assert a.vectors.shape == (4, 32)
        assert (a.vectors[[3, 0]] == b.vectors).all()


def test_saved_ids_of_a_generated_response_are_measured_as_they_were(tiny: LoadedModel) -> None:
    """Extraction from saved ids gives the same in a batch as alone."""
    results = generate(tiny, generate_request(generate_rows(prompts(6))))
    rows = [
        ActivationRow(
            id=r.id,
            token_ids=r.prompt_ids + r.response_ids,
            n_prompt=len(r.prompt_ids),
            spans=[
                Span(
                    name="response",
                    start=len(r.prompt_ids),
                    end=len(r.prompt_ids + r.response_ids),
                )
            ],
        )
        for r in results
    ]
    together = {r.id: r for r in activations(tiny, ActivationsRequest(rows=rows))}
    for row in rows:
        [alone] = activations(tiny, ActivationsRequest(rows=[row]))
        apart = np.abs(alone.vectors - together[row.id].vectors).max(1)
        assert (apart <= 1e-5 * np.abs(alone.vectors).max(1)).all()


def test_means_are_of_what_interventions_leave(tiny: LoadedModel) -> None:
    vector = np.arange(32, dtype=np.float32)
    add = Intervention(op="add", layer=1, vector="v", coefficient=2, positions="response")
    request = ActivationsRequest(
        rows=[_row("a", 8, interventions=[add]), _row("b", 8)], vectors={"v": pack_vector(vector)}
    )
    moved, plain = activations(tiny, request)
    assert np.allclose(moved.vectors[1] - plain.vectors[1], 2 * vector, atol=1e-4)


@pytest.mark.parametrize(
    ("row", "layers", "message"),
    [
        (_row("a", 5), [4], "layer 4: the model has layers 0 to 3"),
        (_row("a", 5), [-1], "layer -1: the model has layers 0 to 3"),
        (_row("a", 513), None, "row 'a': 513 tokens exceed the model's 512"),
        (_row("a", 5, token_ids=[0, 1, 2, 3, 267]), None, "row 'a': token ids outside 0 to 266"),
        (_row("a", 5, token_ids=[0, -1, 2, 3, 4]), None, "row 'a': token ids outside 0 to 266"),
    ],
)
def test_what_the_model_does_not_have_is_refused(
    tiny: LoadedModel, row: ActivationRow, layers: list[int] | None, message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        list(activations(tiny, ActivationsRequest(rows=[row], layers=layers)))


def test_interventions_that_never_act_are_an_error(tiny: LoadedModel) -> None:
    late = Intervention(op="add", layer=1, vector="v", positions="response")
    row = _row("a", 5, n_prompt=5, interventions=[late])
    request = ActivationsRequest(rows=[row], vectors={"v": pack_vector(np.ones(32))})
    with pytest.raises(InterventionError, match="no intervention of the request ever acted"):
        list(activations(tiny, request))


def test_out_of_memory_halves_the_batch_and_names_a_row_that_never_fits(
    tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [_row(f"{i}", 6 + i) for i in range(7)]
    expected = {r.id: r.vectors for r in activations(tiny, ActivationsRequest(rows=rows))}
    decoder = tiny.model.get_decoder()
    forward, most = decoder.forward, 24

    def limited(**kwargs: Any) -> Any:
        if kwargs["input_ids"].numel() > most:
            raise torch.OutOfMemoryError("out of memory")
        return forward(**kwargs)

    monkeypatch.setattr(decoder, "forward", limited)
    found = {r.id: r.vectors for r in activations(tiny, ActivationsRequest(rows=rows))}
    assert found.keys() == expected.keys()
    assert all(np.allclose(found[name], expected[name], atol=1e-4) for name in found)
    most = 11
    with pytest.raises(RequestError, match="row '6' alone does not fit in memory"):
        list(activations(tiny, ActivationsRequest(rows=rows)))


def test_one_layer_at_a_time_is_held(tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """No block's output is alive any more when the second next block runs."""
    alive: list[Any] = []

    def watch(module: Any, args: Any, output: Any) -> None:
        alive.append(weakref.ref(output))
        assert sum(ref() is not None for ref in alive) <= 2

    handles = [block.register_forward_hook(watch) for block in tiny.blocks]
    list(activations(tiny, ActivationsRequest(rows=[_row("a", 40)])))
    for handle in handles:
        handle.remove()
    assert len(alive) == tiny.n_layers
