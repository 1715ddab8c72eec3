"""A float64 reference of interventions, the engine's streams, and settings to test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from personae.api.requests import ActivationRow, ActivationsRequest, Intervention, Span
from personae.api.wire_encoding import pack_vector
from personae.inference.torch_engine.activations import activations
from personae.inference.torch_engine.model_loading import LoadedModel

Vectors = Mapping[str, NDArray[np.float32]]

_RNG = np.random.default_rng(5)
VECTORS: Vectors = {
    name: _RNG.normal(size=32).astype(np.float32) * 2 for name in ("v", "w", "axis")
}
MIXED: dict[int, list[Intervention]] = {
    0: [Intervention(op="add", layer=1, vector="v", coefficient=2.5)],
    1: [Intervention(op="add", layer=2, vector="v", coefficient=-2.5, positions="response")],
    2: [Intervention(op="cap", layer=1, vector="axis", floor=1.5)],
    3: [Intervention(op="cap", layer=x, vector="axis", floor=0.5 * x) for x in (1, 2, 3)],
    4: [
        Intervention(op="ablate", layer=0, vector="w", positions="prompt"),
        Intervention(op="add", layer=2, vector="v", positions="response_from_prompt_end"),
    ],
    6: [
        Intervention(op="add", layer=2, vector="w", positions="prompt"),
        Intervention(op="ablate", layer=2, vector="v"),
        Intervention(op="cap", layer=2, vector="w", floor=4.0, positions="response"),
    ],
}


def reference(
    loaded: LoadedModel,
    ids: Sequence[int],
    n_prompt: int,
    interventions: Sequence[Intervention],
    vectors: Vectors = VECTORS,
) -> tuple[Tensor, list[NDArray[np.float64]]]:
    """Return logits and all layers' streams of one sequence, one position at a time in float64."""
    model = loaded.model
    streams: list[NDArray[np.float64]] = []

    def hook(layer: int) -> Any:
        def change(module: nn.Module, args: Any, output: Any) -> Any:
            hidden = (output[0] if isinstance(output, tuple) else output).clone()
            for i in (i for i in interventions if i.layer == layer):
                v = torch.from_numpy(vectors[i.vector].astype(np.float64))
                u = v / v.norm()
                first, last = {
                    "prompt": (0, n_prompt),
                    "response": (n_prompt, len(ids)),
                    "response_from_prompt_end": (max(n_prompt - 1, 0), len(ids)),
                }.get(i.positions, (0, len(ids)))
                for place in range(first, last):
                    h = hidden[0, place]
                    if i.op == "add":
                        hidden[0, place] = h + i.coefficient * v
                    elif i.op == "cap":
                        hidden[0, place] = h - u * min(float(h @ u) - i.floor, 0)
                    else:
                        hidden[0, place] = h - (h @ u) * u
            streams.append(hidden[0].numpy().copy())
            return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

        return change

    handles = [b.register_forward_hook(hook(x)) for x, b in enumerate(loaded.blocks)]
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([list(ids)]), use_cache=False).logits[0]
    for handle in handles:
        handle.remove()
    return logits, streams


def streams(loaded: LoadedModel, rows: Sequence[ActivationRow]) -> dict[str, NDArray[np.float32]]:
    """Return every row's stream [layers, tokens, hidden], through one-token spans."""
    packed = {name: pack_vector(v) for name, v in VECTORS.items()}
    request = ActivationsRequest(rows=list(rows), vectors=packed)
    found: dict[str, list[NDArray[np.float32]]] = {row.id: [] for row in rows}
    for result in activations(loaded, request):
        found[result.id].append(result.vectors)
    return {name: np.stack(vectors, axis=1) for name, vectors in found.items()}


def token_row(
    name: str, ids: Sequence[int], n_prompt: int, interventions: Sequence[Intervention] = ()
) -> ActivationRow:
    spans = [Span(name=f"t{i}", start=i, end=i + 1) for i in range(len(ids))]
    return ActivationRow(
        id=name,
        token_ids=list(ids),
        n_prompt=n_prompt,
        spans=spans,
        interventions=list(interventions),
    )


def assert_close(found: NDArray[np.float32], expected: NDArray[np.float64]) -> None:
    """Compare float32 streams with float64 ones: rounding grows through the random layers."""
    assert np.abs(found - expected).max() <= 2e-5 * np.abs(expected).max()
