"""Likelihood: text continuations, shared prefixes, limits."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from personae.api.requests import LikelihoodRequest, LikelihoodRow
from personae.inference.chat_templates import render_prompt
from personae.inference.engine_errors import RequestError
from personae.inference.torch_engine.model_loading import LoadedModel

from .asking import loglikelihood, prompts, user


def test_text_and_its_ids_score_the_same(tiny: LoadedModel) -> None:
    ids = tiny.tokenizer("Ahoy!", add_special_tokens=False)["input_ids"]
    rows = [
        LikelihoodRow(id="text", messages=user("hi"), continuation="Ahoy!"),
        LikelihoodRow(id="ids", messages=user("hi"), continuation_ids=ids),
    ]
    text, tokens = loglikelihood(tiny, LikelihoodRequest(rows=rows))
    assert text.n_tokens == tokens.n_tokens == 5
    assert text.sum_logprob == pytest.approx(tokens.sum_logprob, abs=1e-5)


def test_one_token_continuations_are_a_distribution(tiny: LoadedModel) -> None:
    rows = [
        LikelihoodRow(id=f"{token}", messages=user("hi"), continuation_ids=[token])
        for token in range(tiny.vocab_size)
    ]
    results = loglikelihood(tiny, LikelihoodRequest(rows=rows))
    total = torch.tensor([r.sum_logprob for r in results]).exp().sum()
    assert float(total) == pytest.approx(1, abs=1e-4)


def test_a_shared_prompt_is_forwarded_once(
    tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        LikelihoodRow(id=f"{i}/{j}", messages=turn, continuation_ids=[i, j, 3])
        for i, turn in enumerate(prompts(3))
        for j in range(4)
    ]
    decoder = tiny.model.get_decoder()
    forward, shapes = decoder.forward, []

    def watched(*args: Any, **kwargs: Any) -> Any:
        shapes.append(tuple(kwargs["input_ids"].shape))
        return forward(*args, **kwargs)

    monkeypatch.setattr(decoder, "forward", watched)
    loglikelihood(tiny, LikelihoodRequest(rows=rows))
    longest = max(len(render_prompt(tiny.tokenizer, turn)) for turn in prompts(3))
    assert shapes == [(3, longest - 1), (12, 3)]


def test_scores_do_not_depend_on_the_batch(tiny: LoadedModel) -> None:
    rows = [
        LikelihoodRow(id=f"{i}", messages=turn, continuation_ids=list(range(1, 2 + i)))
        for i, turn in enumerate(prompts(12))
    ]
    together = loglikelihood(tiny, LikelihoodRequest(rows=rows))
    small = loglikelihood(tiny, LikelihoodRequest(rows=rows[::-1]), max_batch_tokens=200)[::-1]
    for a, b in zip(together, small, strict=True):
        assert a.id == b.id
        assert a.sum_logprob == pytest.approx(b.sum_logprob, abs=1e-4)


def test_a_row_beyond_the_models_positions_is_refused_by_name(tiny: LoadedModel) -> None:
    row = LikelihoodRow(id="long", messages=user("hi"), continuation_ids=[1] * 512)
    with pytest.raises(RequestError, match=r"row 'long': .* do not fit the model's 512"):
        loglikelihood(tiny, LikelihoodRequest(rows=[row]))


@pytest.mark.parametrize("fed", [True, False], ids=["fed", "only predicted"])
@pytest.mark.parametrize("beyond", [True, False], ids=["too large", "negative"])
def test_token_ids_that_the_model_does_not_have_are_refused_before_anything_runs(
    tiny: LoadedModel, beyond: bool, fed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU such an id would end all later work of the process, other requests' too."""
    last = tiny.vocab_size - 1
    wrong = last + 1 if beyond else -1
    bad = LikelihoodRow(
        id="bad", messages=user("hi"), continuation_ids=[wrong, 5] if fed else [5, wrong]
    )
    rows = [LikelihoodRow(id="good", messages=user("hi"), continuation_ids=[0, last]), bad]

    def forward(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("the model ran")

    with monkeypatch.context() as patch:
        patch.setattr(tiny.model.get_decoder(), "forward", forward)
        with pytest.raises(RequestError, match=f"^row 'bad': token ids outside 0 to {last}$"):
            loglikelihood(tiny, LikelihoodRequest(rows=rows))
    [result] = loglikelihood(tiny, LikelihoodRequest(rows=rows[:1]))
    assert result.n_tokens == 2
