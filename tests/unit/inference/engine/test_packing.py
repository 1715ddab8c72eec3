"""Packed weights and the CPU's attention compute what torch's own do; freed memory is kept."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from personae.inference.allocator import keeping_memory
from personae.inference.torch_engine import weight_packing
from personae.inference.torch_engine.attention import _attend
from personae.inference.torch_engine.weight_packing import PackedLinear, pack_linears

from .families import make_model

# How far packed products may be from torch's own: both round, each in its own order.
NEAR = {torch.float32: 1e-5, torch.bfloat16: 0.02}


@pytest.fixture(params=NEAR, ids=str)
def dtype(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> torch.dtype:
    """Each dtype that can be packed here, as on a CPU where it gains."""
    if not torch.backends.mkldnn.is_available():
        pytest.skip("this build of torch has no oneDNN")
    if request.param == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("this CPU has no bfloat16 kernels")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    return request.param  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", ["llama3", "qwen2", "phi3"])
def test_a_packed_model_has_the_logits_of_the_plain_one(name: str, dtype: torch.dtype) -> None:
    plain, packed = make_model(name, dtype), make_model(name, dtype)
    linears = [m for m in plain.modules() if isinstance(m, nn.Linear)]
    assert pack_linears(packed) == len(linears) > 8
    for rows, width in ((1, 1), (3, 7), (70, 2)):
        ids = torch.randint(0, 256, (rows, width), generator=torch.Generator().manual_seed(rows))
        with torch.inference_mode():
            expected, found = plain(input_ids=ids).logits, packed(input_ids=ids).logits
        near = NEAR[dtype]
        assert torch.allclose(found.float(), expected.float(), atol=near, rtol=near)


def test_packed_layers_keep_their_weights_and_bias_and_still_have_gradients(
    dtype: torch.dtype,
) -> None:
    layer = nn.Linear(24, 40).to(dtype)
    weight = layer.weight
    layer.__class__ = PackedLinear
    assert isinstance(layer, PackedLinear)
    layer.pack()
    x = torch.randn(5, 3, 24).to(dtype)
    expected = functional.linear(x, weight, layer.bias)
    with torch.inference_mode():
        assert torch.allclose(layer(x).float(), expected.float(), atol=NEAR[dtype])
    layer(x).sum().backward()
    assert layer.weight is weight
    assert weight.grad is not None


def test_models_too_large_for_a_copy_stay_as_they_are(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weight_packing, "_MEMORY_SHARE", 0.0)
    model = make_model("llama3", dtype)
    assert pack_linears(model) == 0
    assert not any(isinstance(module, PackedLinear) for module in model.modules())


def test_float32_stays_as_it_is_where_packing_gains_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert pack_linears(make_model("llama3")) == 0


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("steps", "slots"), [(1, 9), (5, 5), (5, 9)])
def test_attention_by_products_is_attention(steps: int, slots: int, masked: bool) -> None:
    if steps not in (1, slots) and not masked:
        pytest.skip("without a mask there is nothing before the first query")
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(3, 6, steps, 8, generator=generator)
    key, value = torch.randn(2, 3, 2, slots, 8, generator=generator)
    seen = torch.ones(steps, slots, dtype=torch.bool).tril(slots - steps).expand(3, 1, -1, -1)
    if masked:
        seen = seen.clone()
        seen[1, :, :, :3] = False
        # In padding a query may see nothing; its output is never used, but must be a number.
        seen[2, :, 0] = False
    scores = query @ key.repeat_interleave(3, 1).transpose(2, 3) / math.sqrt(8)
    weights = scores.masked_fill(~seen, torch.finfo(torch.float32).min).softmax(-1)
    expected = (weights @ value.repeat_interleave(3, 1)).transpose(1, 2)
    mask = seen if masked else None
    found, _ = _attend(nn.Module(), *(t.bfloat16() for t in (query, key, value)), mask)
    assert found.shape == (3, steps, 6, 8)
    assert torch.allclose(found.float(), expected, atol=0.03)


def test_what_the_user_says_about_memory_stays() -> None:
    assert "trim_threshold" in keeping_memory({"PATH": "/bin"})["GLIBC_TUNABLES"]
    mine = {"GLIBC_TUNABLES": "glibc.malloc.check=3"}
    assert keeping_memory(mine) == mine
