"""Generation: batches, refill, stops, seeds, limits, memory."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import torch

from personae.api.requests import GenerateRow, Message, Sampling
from personae.inference.chat_templates import render_prompt
from personae.inference.engine_errors import RequestError
from personae.inference.torch_engine import kv_cache
from personae.inference.torch_engine.generation import generate as generating
from personae.inference.torch_engine.model_loading import LoadedModel

from .asking import (
    GREEDY,
    generate,
    generate_request,
    generate_rows,
    prompts,
    reference_greedy,
    until_refused,
    user,
)

WARM = Sampling(temperature=0.9, top_p=0.9, max_new_tokens=10)


@pytest.fixture(scope="module")
def stopping(tiny: LoadedModel) -> LoadedModel:
    """The tiny model with so many stop tokens that most responses end early, at all lengths."""
    return replace(tiny, stop_ids=frozenset(range(0, 256, 12)))


@pytest.mark.parametrize("tokens", [32768, 500, 1], ids=["one batch", "refill", "one by one"])
def test_64_greedy_responses_with_early_stops_equal_transformers(
    stopping: LoadedModel, tokens: int
) -> None:
    turns, sampling = prompts(64), GREEDY.model_copy(update={"max_new_tokens": 16})
    results = generate(stopping, generate_request(generate_rows(turns), sampling), tokens)
    expected = [reference_greedy(stopping, turn, 16) for turn in turns]
    assert [r.response_ids for r in results] == expected
    assert len({len(r.response_ids) for r in results}) > 8
    for result in results:
        assert (result.finish_reason == "length") == (len(result.response_ids) == 16)
        assert not stopping.stop_ids & set(result.response_ids)


@pytest.mark.parametrize("step", [1, 8, 64])
def test_widths_that_a_gpu_reads_in_steps_change_no_token(
    stopping: LoadedModel, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """A cache as on a GPU, allocated once, with its tensors on the CPU."""
    turns, sampling = prompts(24), GREEDY.model_copy(update={"max_new_tokens": 16})
    request = generate_request(generate_rows(turns), sampling)
    expected = generate(stopping, request, 500)
    monkeypatch.setattr(kv_cache, "_CPU_STEP", None)
    monkeypatch.setattr(kv_cache, "_READ_STEP", step)
    assert generate(stopping, request, 500) == expected


def test_the_same_seed_gives_the_same_tokens_wherever_the_row_is(stopping: LoadedModel) -> None:
    rows = generate_rows(prompts(20))
    together = generate(stopping, generate_request(rows, WARM))
    refilled = generate(stopping, generate_request(rows[::-1], WARM), 400)
    alone = [generate(stopping, generate_request([row], WARM))[0] for row in rows]
    assert together == refilled[::-1] == alone
    reseeded = [row.model_copy(update={"seed": row.seed + 1000}) for row in rows]
    other = generate(stopping, generate_request(reseeded, WARM))
    assert sum(a.response_ids != b.response_ids for a, b in zip(together, other, strict=True)) > 15


def test_rows_with_the_same_prompt_share_its_prefill(
    tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = generate_rows([user("same")] * 6 + [user("other")] * 2)
    prefilled: list[int] = []
    forward = tiny.model.forward

    def counting(**kwargs: Any) -> Any:
        if kwargs["input_ids"].shape[1] > 1:
            prefilled.append(len(kwargs["input_ids"]))
        return forward(**kwargs)

    monkeypatch.setattr(tiny.model, "forward", counting)
    results = generate(tiny, generate_request(rows, WARM))
    monkeypatch.undo()
    assert prefilled == [2]
    alone = [generate(tiny, generate_request([row], WARM))[0] for row in rows]
    assert results == alone


def test_a_long_prompt_enters_beside_short_ones_that_begin_alike(tiny: LoadedModel) -> None:
    alike = [user("The same beginning for all of them, and then " + end) for end in "abcdefgh"]
    turns = [*alike, user("A long one. " * 30), user("Z")]
    results = generate(tiny, generate_request(generate_rows(turns)))
    assert [r.response_ids for r in results] == [reference_greedy(tiny, t, 12) for t in turns]


def test_results_carry_ids_text_seed_and_finish_reason(tiny: LoadedModel) -> None:
    row = generate_rows([user("hello")])[0].model_copy(update={"id": "x", "seed": 2**63 - 1})
    [result] = generate(tiny, generate_request([row], WARM))
    assert (result.id, result.seed, result.fired) == ("x", 2**63 - 1, 0)
    assert result.prompt_ids == render_prompt(tiny.tokenizer, user("hello"))
    assert result.text == tiny.tokenizer.decode(result.response_ids, skip_special_tokens=True)
    assert result.system_inserted == "Today Date: 26 Jul 2024"


def test_a_prompt_without_a_template_is_the_text_alone(tiny: LoadedModel) -> None:
    row = GenerateRow(id="raw", prompt="Once upon", seed=1)
    [result] = generate(tiny, generate_request([row], Sampling(max_new_tokens=3)))
    assert result.prompt_ids == tiny.tokenizer("Once upon")["input_ids"]
    assert result.system_inserted == ""


def test_an_immediate_stop_is_an_empty_response(tiny: LoadedModel) -> None:
    silent = replace(tiny, stop_ids=frozenset(range(tiny.vocab_size)))
    results = generate(silent, generate_request(generate_rows(prompts(3)), WARM))
    assert [(r.response_ids, r.text, r.finish_reason) for r in results] == [([], "", "stop")] * 3


def test_no_rows_give_no_results(tiny: LoadedModel) -> None:
    assert generate(tiny, generate_request([])) == []


def test_progress_counts_rows_and_may_stop_the_work(stopping: LoadedModel) -> None:
    seen: list[tuple[int, int]] = []
    request = generate_request(generate_rows(prompts(9)), WARM)
    generate(stopping, request, progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (9, 9)

    def enough(done: int, total: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        generate(stopping, request, progress=enough)
    assert not any(block._forward_hooks for block in stopping.blocks)


def test_a_row_beyond_the_models_positions_is_refused_by_name(tiny: LoadedModel) -> None:
    rows = generate_rows([user("short"), user("x" * 600)])
    with pytest.raises(RequestError, match=r"row 'r1': \d+ prompt tokens and 12 new ones exceed"):
        generate(tiny, generate_request(rows))


def test_messages_that_end_with_the_assistant_are_refused(tiny: LoadedModel) -> None:
    turns = [*user("a"), Message(role="assistant", content="b")]
    with pytest.raises(RequestError, match="must not end with the assistant"):
        generate(tiny, generate_request(generate_rows([turns])))


def _fail_above(loaded: LoadedModel, most_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let decoding steps of more rows than that run out of memory."""
    forward = loaded.model.forward

    def limited(**kwargs: Any) -> Any:
        rows, steps = kwargs["input_ids"].shape
        if rows > most_rows and steps == 1:
            raise torch.OutOfMemoryError("out of memory")
        return forward(**kwargs)

    monkeypatch.setattr(loaded.model, "forward", limited)


def test_out_of_memory_halves_the_batch_and_changes_no_result(
    stopping: LoadedModel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    request = generate_request(generate_rows(prompts(16)), WARM)
    expected = generate(stopping, request)
    _fail_above(stopping, 3, monkeypatch)
    assert generate(stopping, request) == expected
    # The same shape of batch is not tried again: 16 rows, then 8, then 4, then 2.
    assert re.findall(r"out of memory with (\d+) rows; continuing with half", caplog.text) == [
        "16",
        "8",
        "4",
    ]


def test_a_row_that_does_not_fit_alone_is_named_when_the_others_are_done(
    tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = prompts(8)
    turns[5] = user("why so? " * 30)
    request = generate_request(generate_rows(turns), WARM)
    expected = generate(tiny, request)
    forward, longest = tiny.model.forward, len(expected[5].prompt_ids)

    def limited(**kwargs: Any) -> Any:
        """No row may grow beyond the longest prompt: the sixth one fails in its decode steps."""
        positions = kwargs.get("position_ids")
        if positions is not None and positions.max() > longest + 2:
            raise torch.OutOfMemoryError("out of memory")
        return forward(**kwargs)

    monkeypatch.setattr(tiny.model, "forward", limited)
    found, caught = until_refused(generating(tiny, request))
    assert str(caught).startswith(
        "row 'r5' alone does not fit in memory; the other 7 of 8 are done. "
    )
    assert {result.id: result for result in found} == {
        result.id: result for result in expected if result.id != "r5"
    }


def test_an_error_names_a_few_of_many_rows_that_do_not_fit(
    tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fail_above(tiny, 0, monkeypatch)
    with pytest.raises(RequestError, match=r"^rows ('r\d', ){4}'r\d' and 3 more alone do not fit"):
        generate(tiny, generate_request(generate_rows(prompts(8)), WARM))


def test_other_errors_are_not_taken_for_memory(
    tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**kwargs: Any) -> Any:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(tiny.model, "forward", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        generate(tiny, generate_request(generate_rows(prompts(4)), WARM))
