"""Device maps, dtypes, and memory that runs out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import dispatch_model

from personae.api.requests import ActivationsRequest, Intervention, LikelihoodRequest, LikelihoodRow
from personae.api.wire_encoding import pack_vector
from personae.inference.torch_engine.activations import activations
from personae.inference.torch_engine.likelihood import loglikelihood as scoring
from personae.inference.torch_engine.model_loading import (
    DtypeName,
    LoadedModel,
    choose_dtype,
    load_model,
    wrap_model,
)
from personae.inference.weights_manifest import ModelSource
from personae.inference.weights_preparation import prepare_model

from .asking import generate, generate_request, generate_rows, loglikelihood, prompts, until_refused
from .families import FAMILIES, load_tiny, make_model, make_tokenizer
from .streams import MIXED, VECTORS, token_row

IDS = [int(i) for i in np.random.default_rng(1).integers(0, 256, size=20)]


@pytest.mark.parametrize("name", ["llama3", "gemma2"])
def test_a_model_split_by_a_device_map_does_the_same(name: str, tmp_path: Path) -> None:
    whole = wrap_model(make_model(name), make_tokenizer(FAMILIES[name].template))
    # Half of the blocks keep their weights elsewhere and compute on the CPU, as blocks on another
    # GPU do: what belongs to them must be where they compute.
    places = {f"model.layers.{i}": "cpu" if i < 2 else "disk" for i in range(4)}
    places |= {part: "cpu" for part in ("model.embed_tokens", "model.norm", "lm_head")}
    places["model.rotary_emb"] = "cpu"
    model: Any = dispatch_model(make_model(name), places, offload_dir=str(tmp_path))
    assert next(model.model.layers[3].parameters()).device.type == "meta"
    split = wrap_model(model, make_tokenizer(FAMILIES[name].template))
    request = generate_request(generate_rows(prompts(8), MIXED), vectors=VECTORS)
    assert generate(split, request) == generate(whole, request)
    rows = ActivationsRequest(rows=[token_row("a", IDS, 3), token_row("b", IDS[:9], 3)])
    found, expected = list(activations(split, rows)), list(activations(whole, rows))
    for a, b in zip(found, expected, strict=True):
        assert (a.vectors == b.vectors).all()
    scored = _scored(MIXED)
    assert loglikelihood(split, scored) == loglikelihood(whole, scored)
    plain = loglikelihood(whole, _scored({}))
    assert all(loglikelihood(split, scored)[i] != plain[i] for i in MIXED)


def _scored(interventions: Mapping[int, Sequence[Intervention]]) -> LikelihoodRequest:
    """Return eight continuations of different lengths, two after each prompt."""
    rows = [
        LikelihoodRow(
            id=f"{i}",
            messages=prompts(4)[i // 2],
            continuation_ids=list(range(1, 4 + i)),
            interventions=list(interventions.get(i, ())),
        )
        for i in range(8)
    ]
    packed = {name: pack_vector(vector) for name, vector in VECTORS.items()}
    return LikelihoodRequest(rows=rows, vectors=packed)


@pytest.mark.parametrize("native", [True, False])
def test_auto_asks_a_gpu_whether_it_emulates(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def supported(including_emulation: bool) -> bool:
        assert not including_emulation
        return native

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    expected = torch.bfloat16 if native else torch.float32
    assert choose_dtype("auto", torch.device("cuda:0")) == expected


@pytest.mark.parametrize(
    ("asked", "fast", "chosen"),
    [
        ("auto", True, "bfloat16"),
        ("auto", False, "float32"),
        ("bfloat16", False, "bfloat16"),
        ("float32", True, "float32"),
    ],
)
def test_the_log_says_which_dtype_was_chosen_and_which_asked_for(
    asked: DtypeName,
    fast: bool,
    chosen: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    tiny, folder = load_tiny(), tmp_path / "a"
    tiny.model.save_pretrained(folder)
    tiny.tokenizer.save_pretrained(folder)
    source = ModelSource(
        name="m", kind="chat", source="folder", id=str(folder), revision="", license="MIT"
    )
    prepare_model(source, tmp_path / "out")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": fast})
    with caplog.at_level("INFO", logger="personae"):
        loaded = load_model(tmp_path / "out", asked, "cpu")
    assert f"out computes in torch.{chosen} (asked: {asked}) on cpu" in caplog.text
    assert {str(weight.dtype) for weight in loaded.model.parameters()} == {f"torch.{chosen}"}


def _limit_forward(loaded: LoadedModel, tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let forward passes of more tokens than that run out of memory."""
    decoder = loaded.model.get_decoder()
    forward = decoder.forward

    def limited(*args: Any, **kwargs: Any) -> Any:
        if kwargs["input_ids"].numel() > tokens:
            raise torch.OutOfMemoryError("out of memory")
        return forward(*args, **kwargs)

    monkeypatch.setattr(decoder, "forward", limited)


def test_extraction_halves_its_batches_and_names_the_row_that_never_fits(
    tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [token_row(f"r{i}", IDS[: 8 + i], 3) for i in range(8)]
    request = ActivationsRequest(rows=rows)
    expected = {(s.id, s.span): s.vectors for s in activations(tiny, request)}
    _limit_forward(tiny, 32, monkeypatch)
    found = {(s.id, s.span): s.vectors for s in activations(tiny, request)}
    assert found.keys() == expected.keys()
    for key, vectors in found.items():
        assert np.allclose(vectors, expected[key], atol=1e-4)
    assert "continuing with half as many" in caplog.text
    monkeypatch.undo()
    _limit_forward(tiny, 14, monkeypatch)
    some, caught = until_refused(activations(tiny, request))
    assert str(caught).startswith(
        "row 'r7' alone does not fit in memory; the other 7 of 8 are done. "
    )
    found = {(s.id, s.span): s.vectors for s in some}
    assert found.keys() == {key for key in expected if key[0] != "r7"}
    for key, vectors in found.items():
        assert np.allclose(vectors, expected[key], atol=1e-4)


def test_likelihood_halves_its_batches_and_names_the_row_that_never_fits(
    tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [
        LikelihoodRow(id=f"r{i}", messages=prompts(1)[0], continuation_ids=list(range(1, 4 + i)))
        for i in range(8)
    ]
    request = LikelihoodRequest(rows=rows)
    expected = loglikelihood(tiny, request)
    longest = max(len(row.continuation_ids or ()) for row in rows)
    prefix = 0

    def watch(*args: Any, **kwargs: Any) -> Any:
        nonlocal prefix
        prefix = max(prefix, kwargs["input_ids"].shape[1])
        return forward(*args, **kwargs)

    decoder = tiny.model.get_decoder()
    forward = decoder.forward
    monkeypatch.setattr(decoder, "forward", watch)
    loglikelihood(tiny, request)
    monkeypatch.undo()
    _limit_forward(tiny, max(prefix, 3 * longest), monkeypatch)
    for a, b in zip(loglikelihood(tiny, request), expected, strict=True):
        assert a.sum_logprob == pytest.approx(b.sum_logprob, abs=1e-4)
    monkeypatch.undo()
    assert "continuing with half as many" in caplog.text
    # What follows the prompt's beginning is its last token and all of these but the last.
    long = rows[7].model_copy(update={"continuation_ids": [1] * 4 * prefix})
    _limit_forward(tiny, 4 * prefix - 1, monkeypatch)
    scores, caught = until_refused(scoring(tiny, LikelihoodRequest(rows=[*rows[:7], long])))
    assert str(caught).startswith(
        "row 'r7' alone does not fit in memory; the other 7 of 8 are done. "
    )
    sums = {result.id: result.sum_logprob for result in scores}
    assert sums == pytest.approx({r.id: r.sum_logprob for r in expected[:7]}, abs=1e-4)
