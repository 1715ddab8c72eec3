"""Behaviour of vLLM: chunked prompts, shared prefixes, preempted rows, errors in workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from personae.api.requests import (
    GenerateRow,
    Intervention,
    LikelihoodRow,
    Message,
    Sampling,
    Span,
)
from personae.inference.chat_templates import render_prompt
from personae.inference.engine_errors import EngineError, InterventionError, ModelError
from personae.inference.server.backend import Backend, GeneratedResponse
from personae.inference.vllm_engine import (
    step_state,
    stream_site,
    submission,
    vllm_job,
    vllm_loading,
)

from ..engine.asking import GREEDY, generate_request, generate_rows, prompts, user
from ..engine.streams import token_row
from .asking_engines import VECTORS, generate, means, scores, silent, tokens
from .conftest import TinyFamily, needs_vllm, vllm_spec
from .test_engine_kinds import MANY, WARM

pytestmark = needs_vllm

STEER = [Intervention(op="add", layer=1, vector="v", coefficient=1.5)]
LATE = [Intervention(op="add", layer=1, vector="v", coefficient=1.5, positions="response")]


@pytest.fixture(scope="module")
def tiny(family: Callable[[str], TinyFamily]) -> TinyFamily:
    return family("llama3")


@pytest.fixture(scope="module")
def torch_engine(tiny: TinyFamily, engine_of: Callable[[TinyFamily, str], Backend]) -> Backend:
    return engine_of(tiny, "torch")


@pytest.fixture(scope="module")
def engine(tiny: TinyFamily, engine_of: Callable[[TinyFamily, str], Backend]) -> Backend:
    return engine_of(tiny, "vllm")


def _narrow(tiny: TinyFamily, **settings: Any) -> Any:
    """Load another engine, with vLLM's own settings changed."""
    from personae.inference.vllm_engine.vllm_backend import VllmEngine

    return VllmEngine(vllm_spec(tiny.folder), **settings)


@pytest.fixture(scope="module")
def pieces(tiny: TinyFamily) -> Any:
    """An engine that takes prompts in pieces of 40 tokens, and shares prefixes by 32."""
    return _narrow(tiny, max_num_batched_tokens=40, max_num_seqs=8, block_size=32)


def _all_but_id(result: GeneratedResponse) -> tuple[object, ...]:
    return result.prompt_ids, result.response_ids, result.text, result.finish_reason, result.fired


def test_drawn_tokens_are_those_of_the_torch_engine(engine: Backend, torch_engine: Backend) -> None:
    """The same seeds, the same numbers, the same rule: only rounding could part the engines."""
    for sampling in (WARM, Sampling(temperature=1.0, top_p=1.0, max_new_tokens=9)):
        request = generate_request(generate_rows(prompts(9), MANY), sampling, VECTORS)
        pairs = zip(generate(engine, request), generate(torch_engine, request), strict=True)
        assert all(_all_but_id(ours) == _all_but_id(theirs) for ours, theirs in pairs)
        again = generate(engine, request)
        assert tokens(again) == tokens(generate(engine, request))


def test_info_names_the_engine_and_its_version(engine: Backend, torch_engine: Backend) -> None:
    assert engine.info().engine == f"vllm {vllm_loading.vllm_version()}"
    assert torch_engine.info().engine.startswith("torch ")


def _rows_of_one_prompt(count: int = 12) -> list[GenerateRow]:
    """Return plain and steered rows of a prompt that is several blocks long."""
    talk = [Message(role="user", content="Why is the sky blue? " * 7)]
    kinds = ([], STEER, LATE, MANY[6])
    return [
        GenerateRow(id=f"r{i}", seed=i, messages=talk, interventions=list(kinds[i % len(kinds)]))
        for i in range(count)
    ]


def test_steered_rows_never_take_an_unsteered_prefix(
    pieces: Backend, torch_engine: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    inherited: list[int] = []
    verify = vllm_job.verify_row

    def watched(interventions: Any, n_prompt: int, fed: int, ranks: Any) -> int:
        inherited.extend(end - start for acted in ranks for start, end in acted.inherited)
        return verify(interventions, n_prompt, fed, ranks)

    monkeypatch.setattr(vllm_job, "verify_row", watched)
    request = generate_request(_rows_of_one_prompt(), WARM, VECTORS)
    ours, theirs = generate(pieces, request), generate(torch_engine, request)
    assert list(map(_all_but_id, ours)) == list(map(_all_but_id, theirs))
    assert sum(inherited) > 100, "rows of one kind share the blocks of their prompt"


def test_without_namespaces_the_same_test_would_fail(
    pieces: Backend, torch_engine: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache matters: rows that share every block with their tokens give wrong results."""
    monkeypatch.setattr(
        vllm_job, "_namespaces", lambda plan, program: np.zeros(len(plan), dtype=np.int32)
    )
    request = generate_request(_rows_of_one_prompt(), WARM, VECTORS)
    assert tokens(generate(pieces, request)) != tokens(generate(torch_engine, request))


def test_scores_share_prefixes_and_rows_that_skip_too_much_are_run_again(
    pieces: Backend, torch_engine: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = [Message(role="user", content="Why is the sky blue? " * 7)]
    prompt = len(render_prompt(pieces.loaded.tokenizer, talk))  # type: ignore[attr-defined]
    edge = 32 - prompt % 32  # of these, the second has the first's whole prompt in cached blocks
    shared = [7] * (edge + 40)
    rows = [
        LikelihoodRow(
            id=f"{i}",
            messages=talk,
            continuation_ids=[*shared, *range(1, 3 + i)],
            interventions=list(([], STEER, LATE)[i % 3]),
        )
        for i in range(9)
    ]
    whole: list[int] = []
    submit = submission.Submitter.run

    def watched(self: Any, asked: Any, namespaces: Any) -> Any:
        whole.append(sum(row.whole for row in asked))
        return submit(self, asked, namespaces)

    monkeypatch.setattr(submission.Submitter, "run", watched)
    ours, theirs = scores(pieces, rows), scores(torch_engine, rows)
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * len(shared))
    assert whole[0] == 0
    assert 0 < whole[1] < len(rows)


def test_means_of_prompts_in_pieces_are_those_of_whole_prompts(
    pieces: Backend, torch_engine: Backend
) -> None:
    ids = [int(i) for i in np.random.default_rng(3).integers(0, 256, size=150)]
    spans = [Span(name="all", start=0, end=150), Span(name="middle", start=35, end=90)]
    rows = [
        token_row(f"{i}", ids, 60 + i, MANY.get(i, [])).model_copy(update={"spans": spans})
        for i in range(7)
    ]
    ours, theirs = means(pieces, rows), means(torch_engine, rows)
    assert ours.keys() == theirs.keys()
    for key, expected in theirs.items():
        np.testing.assert_allclose(ours[key], expected, atol=1e-5 * np.abs(expected).max())


def test_rows_that_are_put_off_and_computed_again_come_out_the_same(
    tiny: TinyFamily, torch_engine: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow = _narrow(tiny, num_gpu_blocks_override=10, max_model_len=256, block_size=32)
    scheduler = narrow.loaded.engine.engine_core.engine_core.scheduler
    preempt, put_off = scheduler._preempt_request, []

    def watched(request: Any, *args: Any, **options: Any) -> Any:
        put_off.append(request.request_id)
        return preempt(request, *args, **options)

    monkeypatch.setattr(scheduler, "_preempt_request", watched)
    rows = generate_rows(prompts(9), MANY)
    long = Sampling(temperature=0.9, top_p=0.95, max_new_tokens=60)
    request = generate_request(rows, long, VECTORS)
    ours, theirs = generate(narrow, request), generate(torch_engine, request)
    assert put_off, "the cache is too small for all rows at once"
    assert list(map(_all_but_id, ours)) == list(map(_all_but_id, theirs))


def test_an_error_in_a_hook_fails_the_request_and_is_never_dropped(
    tiny: TinyFamily, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = _narrow(tiny)
    request = generate_request(generate_rows(prompts(2), {0: STEER}), GREEDY, VECTORS)
    with monkeypatch.context() as patch:
        patch.setattr(stream_site, "intervene_on", lambda *_: 1 / 0)
        with pytest.raises(EngineError, match="vLLM's engine failed: ZeroDivisionError"):
            generate(broken, request)
    with pytest.raises(EngineError, match="has ended: ZeroDivisionError"):
        generate(broken, request)


def test_an_intervention_that_does_not_act_is_an_error(
    engine: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = generate_request(generate_rows(prompts(2), {0: STEER}), GREEDY, VECTORS)
    with monkeypatch.context() as patch:
        patch.setattr(
            step_state.StepState, "_describe", lambda self, *_: setattr(self, "depth", np.zeros(4))
        )
        with pytest.raises(InterventionError, match="add at layer 1 acted at 0 positions of a row"):
            generate(engine, request)
    assert generate(engine, request)[0].fired > 0


def test_work_that_is_given_up_leaves_the_engine_as_it_was(engine: Backend) -> None:
    request = generate_request(generate_rows(prompts(9), MANY), GREEDY, VECTORS)
    expected = tokens(generate(engine, request))

    def leave(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(engine.generate(request, leave))
    assert tokens(generate(engine, request)) == expected


def test_a_request_that_does_not_fit_is_refused_before_anything_runs(engine: Backend) -> None:
    far = [Intervention(op="add", layer=4, vector="v")]
    request = generate_request(generate_rows(prompts(1), {0: far}), GREEDY, VECTORS)
    with pytest.raises(ValueError, match="layer 4: the model has layers 0 to 3"):
        generate(engine, request)
    most = Sampling(max_new_tokens=511)
    with pytest.raises(ValueError, match=r"row 'r0': .* exceed the model's 511"):
        list(engine.generate(generate_request(generate_rows([user("hi")]), most), silent))


def test_a_model_that_vllm_cannot_run_is_one_line(tiny: TinyFamily) -> None:
    with pytest.raises(ModelError, match=r"^vLLM cannot run \S+: [^\n]+$"):
        _narrow(tiny, max_num_batched_tokens=-1)
