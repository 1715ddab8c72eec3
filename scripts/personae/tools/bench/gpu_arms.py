"""One side of the GPU benchmark, run in a separate process so that it has the GPU to itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from personae.api.requests import EngineSpec, GenerateRequest
from personae.inference.chat_templates import render_prompt
from personae.inference.torch_engine.activations import activations
from personae.inference.torch_engine.generation import generate
from personae.inference.torch_engine.likelihood import loglikelihood
from personae.inference.torch_engine.model_loading import LoadedModel, choose_device, wrap_model
from personae.tools.bench.gpu_shapes import BenchShape, byte_tokenizer, shape_config, write_shape
from personae.tools.bench.gpu_workload import GpuWorkload

Rates = dict[str, float]
"""Tokens per second by the name of a line."""


def _rate(run: Callable[[], int], warm: bool = True) -> float:
    """Return tokens a second of a run, after one that does not count."""
    if warm:
        run()
    start = time.perf_counter()
    tokens = run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return tokens / (time.perf_counter() - start)


def vllm_kind(shape: BenchShape) -> Rates:
    """Measure the vLLM engine: rollouts, interventions, extraction, likelihoods."""
    from personae.inference.vllm_engine.vllm_backend import VllmEngine

    work = GpuWorkload(shape)
    with TemporaryDirectory() as folder:
        write_shape(shape, Path(folder))
        spec = EngineSpec(model=folder, kind="vllm", dtype=_dtype(), tensor_parallel=shape.gpus)
        engine = VllmEngine(spec, load_format="dummy")
    return _engine_rates(shape, work, engine.generate, engine.activations, engine.loglikelihood)


def plain_vllm(shape: BenchShape) -> Rates:
    """Measure plain vLLM with its default settings: with CUDA graphs if there is a GPU."""
    from vllm import LLM, SamplingParams

    work, rates = GpuWorkload(shape), {}
    with TemporaryDirectory() as folder:
        write_shape(shape, Path(folder))
        cpu: dict[str, Any] = {} if torch.cuda.is_available() else _ON_CPU
        llm = LLM(
            f"{folder}/weights", load_format="dummy", dtype=_dtype(), max_model_len=4096,
            tensor_parallel_size=shape.gpus, **cpu,
        )  # fmt: skip
        tokenizer = byte_tokenizer()
        for rows in shape.rows:
            prompts = [
                {"prompt_token_ids": render_prompt(tokenizer, work.messages(i))}
                for i in range(rows)
            ]
            asked = SamplingParams(temperature=0.7, top_p=0.9, max_tokens=shape.new_tokens)

            def run(prompts: Any = prompts, asked: Any = asked) -> int:
                outputs = llm.generate(prompts, asked, use_tqdm=False)
                return sum(len(output.outputs[0].token_ids) for output in outputs)

            rates[f"rollouts, {rows} rows"] = _rate(run)
    return rates


_ON_CPU = {"enforce_eager": True, "kv_cache_memory_bytes": 2**30}


def torch_kind(shape: BenchShape) -> Rates:
    """Measure the torch engine, its first pass apart."""
    work, loaded = GpuWorkload(shape), _random_model(shape)
    rates = {}
    for rows in shape.rows:
        request = work.generation(rows, work.plain)
        first = partial(_generated, partial(generate, loaded), request)
        rates[f"rollouts, first pass, {rows} rows"] = _rate(first, warm=False)
    return rates | _engine_rates(
        shape,
        work,
        partial(generate, loaded),
        partial(activations, loaded),
        partial(loglikelihood, loaded),
    )


def transformers_alone(shape: BenchShape) -> Rates:
    """Measure transformers' ``generate``, a forward pass without head, and one a pair."""
    work, loaded = GpuWorkload(shape), _random_model(shape)
    loaded.model.set_attn_implementation("sdpa")
    model: Any = loaded.model
    rates = {}
    for rows in shape.rows:
        rates[f"rollouts, {rows} rows"] = _rate(partial(_hf_generate, loaded, work, rows))
    request = work.extraction(shape.rows[0])
    ids = torch.tensor([row.token_ids for row in request.rows], device=loaded.device)
    with torch.inference_mode():
        rates["extraction"] = _rate(
            lambda: model.get_decoder()(input_ids=ids, use_cache=False)[0].shape[:2].numel()
        )
        rates["likelihoods"] = _rate(lambda: _pairs(loaded, work, shape.rows[0]))
    return rates


def _hf_generate(loaded: LoadedModel, work: GpuWorkload, rows: int) -> int:
    """Run transformers' ``generate`` to full length; return the new tokens."""
    model: Any = loaded.model
    prompts = [render_prompt(loaded.tokenizer, work.messages(i)) for i in range(rows)]
    ids = torch.tensor(prompts, device=loaded.device)
    output = model.generate(
        ids,
        do_sample=True,
        temperature=0.7,
        top_p=0.9,
        pad_token_id=257,
        min_new_tokens=work.new_tokens,
        max_new_tokens=work.new_tokens,
    )
    return int(output[:, ids.shape[1] :].numel())


def _pairs(loaded: LoadedModel, work: GpuWorkload, rows: int) -> int:
    """Run one forward pass a pair of prompt and continuation; return the continuations' tokens."""
    tokens = 0
    for row in work.likelihood(rows).rows:
        ids = [*render_prompt(loaded.tokenizer, row.messages), *(row.continuation_ids or ())]
        loaded.model(input_ids=torch.tensor([ids], device=loaded.device), use_cache=False)
        tokens += len(row.continuation_ids or ())
    return tokens


def _engine_rates(
    shape: BenchShape, work: GpuWorkload, run: Any, extract: Any, score: Any
) -> Rates:
    """Measure what both engines of ours do."""
    rates = {}
    for name, chosen in (
        ("rollouts", work.plain),
        ("mixed interventions", work.mixed),
        ("capping 16 layers", work.capping),
    ):
        for rows in shape.rows:
            rollouts = work.generation(rows, chosen)
            rates[f"{name}, {rows} rows"] = _rate(partial(_generated, run, rollouts))
    spans = work.extraction(shape.rows[0])
    count = sum(len(row.token_ids) for row in spans.rows)
    rates["extraction"] = _rate(lambda: count if list(extract(spans)) else 0)
    pairs = work.likelihood(shape.rows[0])
    rates["likelihoods"] = _rate(lambda: sum(result.n_tokens for result in score(pairs)))
    return rates


def _generated(run: Any, request: GenerateRequest) -> int:
    """Run rollouts; return the new tokens."""
    return sum(len(result.response_ids) for result in run(request))


def _dtype() -> Any:
    return "bfloat16" if torch.cuda.is_available() else "float32"


def _random_model(shape: BenchShape) -> LoadedModel:
    """Return the shape's model with random weights, made on the device itself."""
    with choose_device("auto"):
        model = AutoModelForCausalLM.from_config(
            shape_config(shape), dtype=getattr(torch, _dtype())
        )
    return wrap_model(model, byte_tokenizer())


ARMS: dict[str, Callable[[BenchShape], Rates]] = {
    "vllm kind": vllm_kind,
    "plain vLLM": plain_vllm,
    "torch kind": torch_kind,
    "transformers": transformers_alone,
}
