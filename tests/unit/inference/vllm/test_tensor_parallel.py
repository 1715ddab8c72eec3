"""Two tensor-parallel ranks on CPUs: both act on the whole stream, and agree with one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from personae.api.requests import Span
from personae.inference.server.backend import Backend

from ..engine.asking import generate_request, generate_rows, prompts
from ..engine.streams import token_row
from .asking_engines import VECTORS, generate, means, tokens
from .conftest import TinyFamily, needs_vllm, vllm_spec
from .test_engine_kinds import IDS, MANY, N_PROMPT, WARM

pytestmark = needs_vllm


@pytest.fixture(scope="module")
def two_ranks(family: Callable[[str], TinyFamily]) -> Iterator[Any]:
    from personae.inference.vllm_engine.vllm_backend import VllmEngine

    if torch.cuda.device_count() == 1:
        pytest.skip("there is one GPU")
    engine = VllmEngine(
        vllm_spec(family("llama3").folder),
        tensor_parallel_size=2,
        distributed_executor_backend="mp",
        kv_cache_memory_bytes=2**26,
    )
    yield engine
    # Only the two workers: vLLM's own shutdown destroys the groups of every engine in this process.
    engine.loaded.engine.engine_core.engine_core.model_executor.shutdown()


@pytest.fixture(scope="module")
def torch_engine(
    family: Callable[[str], TinyFamily], engine_of: Callable[[TinyFamily, str], Backend]
) -> Backend:
    return engine_of(family("llama3"), "torch")


def test_there_are_two_workers_that_each_see_the_whole_stream(two_ranks: Any) -> None:
    assert two_ranks._submitter.call("records") == [False, False]


def test_a_mixed_batch_is_that_of_one_rank(two_ranks: Any, torch_engine: Backend) -> None:
    request = generate_request(generate_rows(prompts(9), MANY), WARM, VECTORS)
    ours, theirs = generate(two_ranks, request), generate(torch_engine, request)
    assert tokens(ours) == tokens(theirs)
    assert [result.fired for result in ours] == [result.fired for result in theirs]


def test_every_rank_counts_and_sums_the_same(
    two_ranks: Any, torch_engine: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[list[Any]] = []
    call = two_ranks._submitter.call

    def watched(method: str, *arguments: Any) -> list[Any]:
        results: list[Any] = call(method, *arguments)
        if method in ("row_results", "span_sums"):
            kept.append(results)
        return results

    monkeypatch.setattr(two_ranks._submitter, "call", watched)
    spans = [Span(name="all", start=0, end=20)]
    rows = [
        token_row(f"{i}", IDS, N_PROMPT, MANY.get(i, [])).model_copy(update={"spans": spans})
        for i in range(7)
    ]
    ours, theirs = means(two_ranks, rows), means(torch_engine, rows)
    for key, expected in theirs.items():
        assert np.abs(ours[key] - expected).max() <= 1e-4 * np.abs(expected).max()
    sums = [results for results in kept if isinstance(results[0], tuple)]
    counts = [results for results in kept if isinstance(results[0], list)]
    assert sums
    assert counts
    for (first, _), (second, _) in sums:
        np.testing.assert_array_equal(first, second)
    for first, second in counts:
        assert [list(row.counts) for row in first] == [list(row.counts) for row in second]
