"""Measurements of whole processes: peak memory, and the overhead of a node.

``python -m personae.tools.bench.processes SPEC extraction|forward`` prints the bytes that the work
takes above the loaded weights; a node is `personae.tools.bench.bench_node`.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from personae.api.requests import EngineSpec
from personae.tools.bench.measurement import BenchComparison, printed

_NODE = "personae.tools.bench.bench_node"


def memory(spec: EngineSpec) -> BenchComparison:
    """Return extraction's peak memory against that of the plain forward pass of the same rows."""

    def peak(arm: str) -> float:
        return float(printed(__name__, spec.model_dump_json(), arm))

    return BenchComparison(
        "extraction peak memory over weights / plain forward (bytes)",
        lambda: peak("extraction"),
        lambda: peak("forward"),
        1.3,
        "ratio at most",
    )


def node(spec: EngineSpec) -> BenchComparison:
    """Return a node's seconds beyond its computation: with a warm server, and all by itself."""

    def seconds(arm: str) -> float:
        if arm == "warm":
            printed(_NODE, spec.model_dump_json(), arm)  # so that the server runs
        start = time.perf_counter()
        computed = float(printed(_NODE, spec.model_dump_json(), arm))
        return time.perf_counter() - start - computed

    return BenchComparison(
        "warm node beyond its compute / cold process (seconds)",
        lambda: seconds("warm"),
        lambda: seconds("cold"),
        0.7,
        "ours at most",
    )


def _peak(spec: EngineSpec, arm: str) -> int:
    """Return the bytes that one batch takes at its peak above what is loaded."""
    import torch

    from personae.api.requests import ActivationsRequest
    from personae.inference.chat_templates import render_prompt
    from personae.inference.torch_engine.activations import activations
    from personae.inference.torch_engine.batching import pad_right
    from personae.inference.torch_engine.model_loading import load_model
    from personae.tools.bench.workload import chat_of, extraction_rows, responses

    loaded = load_model(Path(spec.model), spec.dtype, spec.device)
    prompt = render_prompt(loaded.tokenizer, chat_of(0))
    # One batch for both arms: no two rows begin alike, and they are nearly equally long.
    answers = responses(loaded.vocab_size, 8, 400, 410)
    prompts = [[1000 + number, *prompt] for number in range(len(answers))]
    rows = extraction_rows(prompts, answers)

    def work(rows: Any) -> None:
        if arm == "extraction":
            list(activations(loaded, ActivationsRequest(rows=rows)))
            return
        with torch.inference_mode():
            padded = pad_right(loaded, [row.token_ids for row in rows])
            loaded.model.get_decoder()(input_ids=padded.ids, use_cache=False)

    work(extraction_rows([prompt], [[100] * 4]))
    return _above(loaded.device, lambda: work(rows))


def _above(device: Any, work: Any) -> int:
    import torch

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        return int(torch.cuda.max_memory_allocated(device) - before)
    # Linux: writing 5 resets the peak of the resident set to what it is now.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _status("VmRSS")
    work()
    return _status("VmHWM") - before


def _status(key: str) -> int:
    """Return a size of this process in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key + ":"))


if __name__ == "__main__":
    print(_peak(EngineSpec.model_validate_json(sys.argv[1]), sys.argv[2]))
