"""Every model family, as a tiny model of its real class, gives exactly transformers' results."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from personae.api.requests import (
    ActivationRow,
    ActivationsRequest,
    LikelihoodRequest,
    LikelihoodRow,
)
from personae.api.requests import Span as TokenSpan
from personae.inference.chat_templates import render_prompt
from personae.inference.engine_errors import ModelError
from personae.inference.torch_engine.activations import activations
from personae.inference.torch_engine.decoder_blocks import find_blocks
from personae.inference.torch_engine.model_loading import LoadedModel

from .asking import (
    GREEDY,
    generate,
    generate_request,
    generate_rows,
    loglikelihood,
    plain_attention,
    prompts,
    reference_greedy,
)
from .families import make_model


def _ids(loaded: LoadedModel, number: int = 3) -> list[int]:
    return render_prompt(loaded.tokenizer, prompts(number + 1)[number])


def _block_outputs(loaded: LoadedModel, ids: list[int]) -> tuple[list[Tensor], tuple[Tensor, ...]]:
    """Return what hooks on the blocks see, and transformers' hidden states, of one forward."""
    seen: list[Tensor] = []

    def keep(module: nn.Module, args: Any, output: Any) -> None:
        seen.append(output[0] if isinstance(output, tuple) else output)

    handles = [block.register_forward_hook(keep) for block in loaded.blocks]
    with torch.inference_mode():
        decoder = loaded.model.get_decoder()
        output = decoder(
            input_ids=torch.tensor([ids], device=loaded.device),
            output_hidden_states=True,
            use_cache=False,
        )
    for handle in handles:
        handle.remove()
    return seen, output.hidden_states


def test_a_hook_on_block_l_sees_hidden_state_l_plus_1_bit_for_bit(
    placed_family: LoadedModel,
) -> None:
    seen, states = _block_outputs(placed_family, _ids(placed_family))
    assert len(seen) == placed_family.n_layers == len(states) - 1
    for layer in range(placed_family.n_layers - 1):
        assert torch.equal(seen[layer], states[layer + 1])
    # The last block's output is the residual stream before the final norm.
    norm = placed_family.model.get_decoder().norm
    assert torch.equal(norm(seen[-1]), states[-1])
    assert not torch.equal(seen[-1], states[-1])


@pytest.mark.parametrize("tokens", [32768, 400], ids=["one batch", "rows enter and leave"])
def test_greedy_tokens_are_those_of_transformers_generate(
    placed_family: LoadedModel, tokens: int
) -> None:
    turns = prompts(12)
    request = generate_request(generate_rows(turns))
    results = generate(placed_family, request, max_batch_tokens=tokens)
    expected = [reference_greedy(placed_family, turn, GREEDY.max_new_tokens) for turn in turns]
    assert [r.response_ids for r in results] == expected
    assert [r.id for r in results] == [row.id for row in request.rows]


def test_the_cpu_attention_is_used_just_where_it_computes_the_same(family: LoadedModel) -> None:
    fast = family.model.config._attn_implementation == "one_query_matmul"
    # Soft-capping (Gemma 2) and sinks (gpt-oss) need transformers' own attention.
    assert fast == (family.model.config.model_type not in ("gemma2", "gpt_oss"))


def test_log_probabilities_are_those_of_a_plain_forward(placed_family: LoadedModel) -> None:
    turns = prompts(6)
    continuations = [[5, 9, 30], [7], [40, 41], [1, 2, 3, 4, 5, 6, 7, 8], [9, 9], [77]]
    rows = [
        LikelihoodRow(id=f"{i}/{j}", messages=turn, continuation_ids=continuation)
        for i, turn in enumerate(turns)
        for j, continuation in enumerate(continuations)
    ]
    results = loglikelihood(placed_family, LikelihoodRequest(rows=rows), max_batch_tokens=1000)
    for row, result in zip(rows, results, strict=True):
        prompt, continuation = (
            render_prompt(placed_family.tokenizer, row.messages),
            row.continuation_ids,
        )
        assert continuation is not None
        with torch.inference_mode(), plain_attention(placed_family):
            logits = placed_family.model(
                input_ids=torch.tensor([prompt + continuation], device=placed_family.device)
            ).logits[0]
        logp = logits.double().log_softmax(-1)[len(prompt) - 1 : -1]
        expected = float(logp[range(len(continuation)), continuation].sum())
        assert result.sum_logprob == pytest.approx(expected, abs=1e-4)
        assert (result.id, result.n_tokens) == (row.id, len(continuation))


def test_span_means_are_the_float64_means_of_hidden_states(placed_family: LoadedModel) -> None:
    rows = []
    for number in range(5):
        ids = _ids(placed_family, number)
        spans = [
            TokenSpan(name="end", start=len(ids) - 3, end=len(ids)),
            TokenSpan(name="most", start=1, end=len(ids) - 1),
        ]
        rows.append(ActivationRow(id=f"{number}", token_ids=ids, n_prompt=4, spans=spans))
    results = {
        (r.id, r.span): r
        for r in activations(placed_family, ActivationsRequest(rows=rows), max_batch_tokens=150)
    }
    for row in rows:
        stream = torch.cat(_block_outputs(placed_family, row.token_ids)[0]).double().cpu().numpy()
        for span in row.spans:
            result = results[row.id, span.name]
            expected = stream[:, span.start : span.end].mean(1)
            scale = np.abs(expected).max()
            assert np.abs(result.vectors - expected).max() <= 1e-5 * scale
            assert result.n_tokens == span.end - span.start
            assert result.vectors.dtype == np.float32


def test_rows_that_begin_alike_are_extracted_together_and_as_each_alone(
    family: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prefixes of two lengths, longer than any sliding window; spans that start in the prompt."""
    begins = [[(5 * i) % 250 for i in range(40)], [(3 * i) % 250 for i in range(55)]]
    rows = []
    for number in range(8):
        begin = begins[number % 2]
        ids = begin + [(11 * number + i) % 250 for i in range(4 + number)]
        spans = [
            TokenSpan(name="response", start=len(begin) + 2, end=len(ids)),
            TokenSpan(name="all", start=len(begin) - number, end=len(ids) - 1),
        ]
        rows.append(ActivationRow(id=f"{number}", token_ids=ids, n_prompt=len(begin), spans=spans))
    expected = {row.id: torch.cat(_block_outputs(family, row.token_ids)[0]) for row in rows}
    fed = _count_tokens(family, monkeypatch)
    for result in activations(family, ActivationsRequest(rows=rows)):
        row = rows[int(result.id)]
        [span] = [span for span in row.spans if span.name == result.span]
        stream = expected[row.id].double().cpu().numpy()[:, span.start : span.end]
        scale = np.abs(stream.mean(1)).max()
        assert np.abs(result.vectors - stream.mean(1)).max() <= 1e-5 * scale
    assert sum(fed) < 0.6 * sum(len(row.token_ids) for row in rows)


def _count_tokens(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by the tokens of every forward pass of the decoder."""
    fed: list[int] = []
    decoder = loaded.model.get_decoder()
    forward = decoder.forward

    def counting(*args: Any, **kwargs: Any) -> Any:
        fed.append(kwargs["input_ids"].numel())
        return forward(*args, **kwargs)

    monkeypatch.setattr(decoder, "forward", counting)
    return fed


def test_blocks_that_cannot_be_told_are_refused_with_what_was_found() -> None:
    model = make_model("llama3")
    model.get_decoder().layers = nn.ModuleList(list(model.get_decoder().layers)[:2])
    with pytest.raises(ModelError, match=r"LlamaForCausalLM.*of 4 modules.*'layers': 2"):
        find_blocks(model)
