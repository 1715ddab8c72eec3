"""Tokens drawn in sequence by `generate` have their exact joint distribution."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import chisquare

from personae.api.requests import Sampling
from personae.inference.chat_templates import render_prompt
from personae.inference.torch_engine import generation
from personae.inference.torch_engine.generation import GenerationResult
from personae.inference.torch_engine.model_loading import LoadedModel
from personae.inference.torch_engine.sampling import uniforms

from .asking import generate, generate_request, generate_rows, user
from .families import load_tiny

Joint = Mapping[tuple[int, ...], float]
"""Probability by response."""

ROWS = 4000
TURNS = [user("b"), user("f")]
# Some of those that are likely after either prompt, so that rows leave and others enter.
STOPS = frozenset(range(7, 267, 20))


def _nucleus(logits: torch.Tensor, sampling: Sampling) -> NDArray[np.float64]:
    """Return the requested distribution, by sorting everything in float64."""
    p = (logits / sampling.temperature).softmax(-1).numpy()
    order = np.argsort(-p, kind="stable")
    p[order[np.cumsum(p[order]) - p[order] >= sampling.top_p]] = 0
    nucleus: NDArray[np.float64] = p / p.sum()
    return nucleus


@torch.inference_mode()
def _joint(exact: LoadedModel, prompt: Sequence[int], sampling: Sampling) -> Joint:
    """Return the distribution of responses of two tokens, ended by a stop token or not."""
    logits = exact.model(input_ids=torch.tensor([prompt])).logits[0, -1]
    first = _nucleus(logits, sampling)
    possible = np.flatnonzero(first)
    after = exact.model(input_ids=torch.tensor([[*prompt, int(token)] for token in possible]))
    joint: Counter[tuple[int, ...]] = Counter()
    for token, logits in zip(possible.tolist(), after.logits[:, -1], strict=True):
        if token in STOPS:
            joint[()] += first[token]
            continue
        for other, share in enumerate(_nucleus(logits, sampling)):
            if share > 0:
                joint[(token,) if other in STOPS else (token, other)] += first[token] * share
    return joint


def _p_value(results: Sequence[GenerationResult], joint: Joint) -> float:
    """Return that of a chi-square test; responses that are expected rarely are one cell."""
    observed = Counter(tuple(result.response_ids) for result in results)
    assert observed.keys() <= joint.keys(), "nothing is drawn from outside the nuclei"
    often = [key for key, share in joint.items() if share * len(results) >= 8]
    counts = np.array([observed[key] for key in often])
    expected = np.array([joint[key] for key in often]) * len(results)
    assert len(often) > 30
    rest = len(results) - np.array([counts.sum(), expected.sum()])
    return float(chisquare([*counts, rest[0]], [*expected, rest[1]]).pvalue)


@pytest.mark.parametrize(("temperature", "top_p"), [(0.7, 0.9), (1.0, 0.8)])
def test_two_tokens_are_drawn_from_their_exact_joint_distribution(
    placed_tiny: LoadedModel, temperature: float, top_p: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seeds are neighbours, prompts take turns, and a row's two draws are independent."""
    exact = load_tiny("llama3", torch.float64)
    engine = replace(placed_tiny, stop_ids=STOPS)
    sampling = Sampling(temperature=temperature, top_p=top_p, max_new_tokens=2)
    request = generate_request(generate_rows(TURNS * (ROWS // 2)), sampling)
    joints = [_joint(exact, render_prompt(placed_tiny.tokenizer, turn), sampling) for turn in TURNS]
    assert all(sum(joint.values()) == pytest.approx(1) for joint in joints)
    results = generate(engine, request)
    # Seeds are fixed: the bound leaves room for another tiny model, not for chance.
    assert all(_p_value(results[i::2], joint) > 1e-3 for i, joint in enumerate(joints))

    # The test would see a row that drew all its tokens with one number.
    monkeypatch.setattr(generation, "uniforms", lambda seed, n: np.repeat(uniforms(seed, 1), n))
    reused = generate(engine, request)
    assert all(_p_value(reused[i::2], joint) < 1e-30 for i, joint in enumerate(joints))
