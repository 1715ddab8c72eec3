"""The embedded model in bfloat16: activations like float32's, and the same tokens on repeat."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from personae.api.requests import ActivationRow, ActivationsRequest, Sampling, Span
from personae.inference.torch_engine.activations import activations
from personae.inference.torch_engine.model_loading import LoadedModel, load_model

from .asking import generate, generate_request, generate_rows, user

QUESTIONS = [
    "Who are you?",
    "How do I keep bread fresh for a week?",
    "A friend is angry with me because I forgot her birthday. What should I say to her?",
    "What is the capital of Peru, and what is it known for?",
]


@pytest.fixture(scope="module")
def half(embedded: Path, device: str) -> LoadedModel:
    return load_model(embedded, "bfloat16", device)


def test_every_layers_means_point_where_those_of_float32_on_a_cpu_do(
    embedded: Path, half: LoadedModel
) -> None:
    exact = load_model(embedded, "float32", "cpu")
    sampling = Sampling(temperature=0.7, top_p=0.9, max_new_tokens=24)
    request = generate_request(generate_rows(map(user, QUESTIONS)), sampling)
    rows = []
    for told in generate(exact, request):
        ids, start = told.prompt_ids + told.response_ids, len(told.prompt_ids)
        spans = [
            Span(name="response", start=start, end=len(ids)),
            Span(name="last", start=start - 1, end=start),
        ]
        rows.append(ActivationRow(id=told.id, token_ids=ids, n_prompt=start, spans=spans))
    asked = ActivationsRequest(rows=rows)
    expected = {(found.id, found.span): found.vectors for found in activations(exact, asked)}
    for found in activations(half, asked):
        true = expected[found.id, found.span]
        norms = np.linalg.norm(found.vectors, axis=1) * np.linalg.norm(true, axis=1)
        assert ((found.vectors * true).sum(1) / norms).min() >= 0.999


def test_the_same_seeds_draw_the_same_tokens_again(half: LoadedModel) -> None:
    sampling = Sampling(temperature=0.9, top_p=0.95, max_new_tokens=16)
    request = generate_request(generate_rows(map(user, QUESTIONS)), sampling)
    first, again = generate(half, request), generate(half, request)
    assert [told.response_ids for told in first] == [told.response_ids for told in again]
    assert all(told.response_ids for told in first)
