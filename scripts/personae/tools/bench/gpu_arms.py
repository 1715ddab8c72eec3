"""One side of the GPU benchmark, run in a process of its own so that it has the GPU alone.

A side yields its lines as they are measured, so that one that runs out of time still tells of those
before.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from transformers import AutoModelForCausalLM

from personae.api.requests import EngineSpec, GenerateRequest
from personae.inference.chat_templates import render_prompt
from personae.inference.engine_errors import ModelError
from personae.inference.torch_engine.activations import activations
from personae.inference.torch_engine.batch_limit import batch_tokens
from personae.inference.torch_engine.generation import generate
from personae.inference.torch_engine.likelihood import loglikelihood
from personae.inference.torch_engine.model_loading import LoadedModel, choose_device, wrap_model
from personae.inference.torch_engine.recorded_steps import step_recorder
from personae.tools.bench.gpu_shapes import BenchShape, byte_tokenizer, shape_config, write_shape
from personae.tools.bench.gpu_workload import GpuWorkload


class Line(NamedTuple):
    """Name of a line, and tokens per second."""

    name: str
    rate: float


Lines = Iterator[Line]

# All settings of a sweep cost alike, so the hooked side runs one of so many.
_SETTINGS_SHARE = 4
_ON_CPU = {"enforce_eager": True, "kv_cache_memory_bytes": 2**30}


def _line(name: str, run: Callable[[], int], warm: bool = True) -> Line:
    """Measure a run that returns its tokens, after one that does not count."""
    if warm:
        run()
    start = time.perf_counter()
    tokens = run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return Line(name, tokens / (time.perf_counter() - start))


def vllm_kind(shape: BenchShape, **settings: Any) -> Lines:
    """Measure the vLLM engine: rollouts, interventions, extraction, likelihoods."""
    from personae.inference.vllm_engine.vllm_backend import VllmEngine

    work = GpuWorkload(shape)
    with TemporaryDirectory() as folder:
        write_shape(shape, Path(folder))
        spec = EngineSpec(model=folder, kind="vllm", dtype=_dtype(), tensor_parallel=shape.gpus)
        engine = VllmEngine(spec, load_format="dummy", **settings)
    yield from _engine_lines(shape, work, engine.generate, engine.activations, engine.loglikelihood)


def vllm_kind_eager(shape: BenchShape) -> Lines:
    """Measure the vLLM engine without CUDA graphs: hooks and tensor operations."""
    yield from vllm_kind(shape, enforce_eager=True)


def vllm_kind_invariant(shape: BenchShape) -> Lines:
    """Measure rollouts of the vLLM engine where no row's numbers depend on the other rows."""
    if not torch.cuda.is_available():
        raise ModelError("vLLM's batch-invariant mode needs a GPU")
    os.environ["VLLM_BATCH_INVARIANT"] = "1"
    yield from islice(vllm_kind(shape), len(shape.rows))


def plain_vllm(shape: BenchShape) -> Lines:
    """Measure vLLM by itself, as a user would pick it: with CUDA graphs where there is a GPU."""
    from vllm import LLM, SamplingParams

    work = GpuWorkload(shape)
    with TemporaryDirectory() as folder:
        write_shape(shape, Path(folder))
        cpu: dict[str, Any] = {} if torch.cuda.is_available() else _ON_CPU
        llm = LLM(
            f"{folder}/weights", load_format="dummy", dtype=_dtype(), max_model_len=4096,
            tensor_parallel_size=shape.gpus, **cpu,
        )  # fmt: skip
    asked = SamplingParams(temperature=0.7, top_p=0.9, max_tokens=shape.new_tokens, ignore_eos=True)
    tokenizer = byte_tokenizer()
    for rows in shape.rows:
        prompts = [
            {"prompt_token_ids": render_prompt(tokenizer, work.messages(i))} for i in range(rows)
        ]

        def run(prompts: Any = prompts) -> int:
            outputs = llm.generate(prompts, asked, use_tqdm=False)
            return sum(len(output.outputs[0].token_ids) for output in outputs)

        yield _line(f"rollouts, {rows} rows", run)


def torch_kind(shape: BenchShape) -> Lines:
    """Measure the torch engine, its first pass apart."""
    work, loaded = GpuWorkload(shape), _random_model(shape)
    limit = batch_tokens(loaded, None)
    recorder = step_recorder(loaded)
    run = partial(generate, loaded, max_batch_tokens=limit, recorder=recorder)
    for rows in shape.rows:
        request = work.generation(rows, work.plain)
        name = f"rollouts, first pass, {rows} rows"
        yield _line(name, partial(_generated, run, request), warm=False)
    yield from _engine_lines(
        shape,
        work,
        run,
        partial(activations, loaded, max_batch_tokens=limit),
        partial(loglikelihood, loaded, max_batch_tokens=limit),
    )


def transformers_alone(shape: BenchShape) -> Lines:
    """Measure transformers' ``generate``, a forward pass without head, and one a pair."""
    work, loaded = GpuWorkload(shape), _random_model(shape)
    loaded.model.set_attn_implementation("sdpa")
    model: Any = loaded.model
    for rows in shape.rows:
        yield _line(f"rollouts, {rows} rows", partial(_hf_generate, loaded, work, rows))
    request = work.extraction(shape.rows[0])
    ids = torch.tensor([row.token_ids for row in request.rows], device=loaded.device)
    with torch.inference_mode():
        yield _line(
            "extraction",
            lambda: model.get_decoder()(input_ids=ids, use_cache=False)[0].shape[:2].numel(),
        )
        yield _line("likelihoods", lambda: _pairs(loaded, work, shape.rows[0]))
        yield _line("layer sweep", lambda: _hooked_sweep(loaded, work), warm=False)


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


def _hooked_sweep(loaded: LoadedModel, work: GpuWorkload) -> int:
    """Run a hooked ``generate`` of all questions for some settings; return the new tokens."""
    tokens = 0
    for layer, added in work.settings(_SETTINGS_SHARE):
        move = torch.from_numpy(added).to(loaded.device, loaded.dtype)

        def add(module: Any, args: Any, output: Any, move: torch.Tensor = move) -> Any:
            hidden = output[0] if isinstance(output, tuple) else output
            if hidden.shape[1] == 1:  # a response token
                hidden += move

        handle = loaded.blocks[layer].register_forward_hook(add)
        try:
            tokens += _hf_generate(loaded, work, work.n_questions)
        finally:
            handle.remove()
    return tokens


def _pairs(loaded: LoadedModel, work: GpuWorkload, rows: int) -> int:
    """Run one forward pass a pair of prompt and continuation; return the continuations' tokens."""
    tokens = 0
    for row in work.likelihood(rows).rows:
        ids = [*render_prompt(loaded.tokenizer, row.messages), *(row.continuation_ids or ())]
        loaded.model(input_ids=torch.tensor([ids], device=loaded.device), use_cache=False)
        tokens += len(row.continuation_ids or ())
    return tokens


def _engine_lines(
    shape: BenchShape, work: GpuWorkload, run: Any, extract: Any, score: Any
) -> Lines:
    """Measure what both engines of ours do; the rollouts of a kind are warm after the first."""
    for name, chosen in (
        ("rollouts", work.plain),
        ("mixed interventions", work.mixed),
        ("capping 16 layers", work.capping),
    ):
        for rows in shape.rows:
            request = work.generation(rows, chosen)
            yield _line(f"{name}, {rows} rows", partial(_generated, run, request))
    spans = work.extraction(shape.rows[0])
    count = sum(len(row.token_ids) for row in spans.rows)
    yield _line("extraction", lambda: count if list(extract(spans)) else 0)
    pairs = work.likelihood(shape.rows[0])
    yield _line("likelihoods", lambda: sum(result.n_tokens for result in score(pairs)))
    yield _line("layer sweep", partial(_generated, run, work.sweep()), warm=False)


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


ARMS: dict[str, Callable[[BenchShape], Lines]] = {
    "plain vLLM": plain_vllm,
    "vllm kind": vllm_kind,
    "vllm kind, eager": vllm_kind_eager,
    "transformers": transformers_alone,
    "torch kind": torch_kind,
    "vllm kind, batch-invariant": vllm_kind_invariant,
}
