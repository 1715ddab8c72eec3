"""The interventions of one layer as one Triton kernel, in place, so that CUDA graphs can replay it.

A program of the kernel handles one token. It reads everything from buffers of fixed addresses
(`step_buffers`), so a recorded graph acts on whatever they hold when it is replayed: there is no
number of interventions, rows or tokens in the recording. A token without interventions costs the
reading of three numbers, and its row of the stream is not touched.

Triton compiles it for GPUs. With ``TRITON_INTERPRET=1`` it runs on CPUs, which is how the tests
compare it with `stream_arithmetic.intervene_on` and with float64.
"""

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl
from torch import Tensor

from personae.inference.intervention_buffers.stream_arithmetic import DeviceTables, StepTokens

_WARPS = 8


def run_kernel(
    hidden: Tensor, residual: Tensor | None, tables: DeviceTables, tokens: StepTokens, layer: int
) -> None:
    """Apply a layer's interventions to ``hidden + residual`` and count where they act.

    Parameters
    ----------
    hidden, residual
        [tokens, hidden], any float dtype: the two parts of the stream after block ``layer``. Where
        an intervention acts, ``hidden`` becomes the changed stream and ``residual`` zero.
    tables, tokens
        Buffers for at least as many tokens, on the same device.

    Raises
    ------
    ValueError
        If a row of the stream is not contiguous.
    """
    if hidden.stride(-1) != 1 or (residual is not None and residual.stride(-1) != 1):
        raise ValueError("a row of the residual stream is not contiguous")
    size = hidden.shape[1]
    parts = (hidden, residual if residual is not None else hidden)
    _intervene[(len(hidden),)](
        *parts,
        hidden.stride(0),
        parts[1].stride(0),
        *(tokens.program, tokens.bits, tokens.counter),
        tables.offsets[layer],
        *(tables.direction, tables.rule, tables.source, tables.numbers),
        tables.directions,
        tables.counts,
        size=size,
        block=triton.next_power_of_2(size),
        parted=residual is not None,
        num_warps=_WARPS,
    )


# Not `tl.sum`: the library's own functions are interpreted only if Triton was imported for that.
@triton.jit  # type: ignore[untyped-decorator]
def _add(a: Any, b: Any) -> Any:
    return a + b


@triton.jit  # type: ignore[untyped-decorator]
def _intervene(
    hidden: Any, residual: Any, hidden_step: Any, residual_step: Any,
    program: Any, bits: Any, counter: Any, offsets: Any,
    direction: Any, rule: Any, source: Any, numbers: Any, directions: Any, counts: Any,
    size: tl.constexpr, block: tl.constexpr, parted: tl.constexpr,
) -> None:  # fmt: skip
    token = tl.program_id(0).to(tl.int64)
    number = tl.load(program + token)
    first = tl.load(offsets + number)
    end = tl.load(offsets + number + 1)
    if end > first:
        own = tl.load(bits + token)
        counted = tl.load(counter + token)
        column = tl.arange(0, block)
        inside = column < size
        where = hidden + token * hidden_step + column
        apart = residual + token * residual_step + column
        stream = tl.load(where, mask=inside, other=0.0)
        if parted:
            wide = stream.to(tl.float32) + tl.load(apart, mask=inside, other=0.0).to(tl.float32)
            stream = wide.to(stream.dtype)
        acted = 0
        for entry in range(first, end):
            if (tl.load(rule + entry) & own) != 0:
                row = tl.load(direction + entry).to(tl.int64) * size
                vector = tl.load(directions + row + column, mask=inside, other=0.0)
                wide = stream.to(tl.float32)
                projection = tl.reduce(wide * vector, 0, _add)
                values = numbers + entry * 4
                scale = tl.load(values) - tl.load(values + 1) * projection
                missing = tl.maximum(tl.load(values + 3) - projection, 0.0)
                scale = scale + tl.load(values + 2) * missing
                stream = (wide + scale * vector).to(stream.dtype)
                tl.atomic_add(counts + counted + tl.load(source + entry), 1)
                acted = 1
        if acted != 0:
            tl.store(where, stream, mask=inside)
            if parted:
                tl.store(apart, 0.0, mask=inside)
