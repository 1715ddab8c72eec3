"""Requests of the GPU benchmark: rows, interventions, spans, continuations."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from personae.api.requests import (
    ActivationRow,
    ActivationsRequest,
    GenerateRequest,
    GenerateRow,
    Intervention,
    LikelihoodRequest,
    LikelihoodRow,
    Message,
    Sampling,
    Span,
)
from personae.api.wire_encoding import pack_vector, unpack_vector
from personae.tools.bench.gpu_shapes import BenchShape

Chosen = Callable[[int], list[Intervention]]

# About 90 tokens of a tokenizer of bytes, with what the template adds.
_QUESTION = "Tell me of the sea, of ships and of weather, as somebody who sails would, row {:04d}."
_FLOOR = -1e9
_CAPPED = 16
# A layer sweep: layers x coefficients x questions.
_SWEPT, _COEFFICIENTS, _QUESTIONS = 8, (0.5, 1.0, 2.0, 4.0), 8


class GpuWorkload:
    """Requests for one shape; every call creates the same ones."""

    def __init__(self, shape: BenchShape) -> None:
        self.layers, self.new_tokens = shape.sizes["num_hidden_layers"], shape.new_tokens
        rng = np.random.default_rng(0)
        size = shape.sizes["hidden_size"]
        self._vectors = {name: pack_vector(rng.normal(size=size) * 0.01) for name in "vw"}

    def generation(self, rows: int, chosen: Chosen) -> GenerateRequest:
        """Responses at temperature 0.7 and top_p 0.9."""
        asked = [
            GenerateRow(id=f"r{i}", seed=i, messages=self.messages(i), interventions=chosen(i))
            for i in range(rows)
        ]
        return GenerateRequest(rows=asked, sampling=self._sampling(), vectors=self._vectors)

    def messages(self, number: int) -> list[Message]:
        return [Message(role="user", content=_QUESTION.format(number))]

    def plain(self, number: int) -> list[Intervention]:
        """Nothing acts."""
        return []

    def mixed(self, number: int) -> list[Intervention]:
        """Every row has its own operation at its own layer."""
        op = ("add", "cap", "ablate")[number % 3]
        layer, vector = number % self.layers, "vw"[number % 2]
        return [Intervention.model_validate(
            {"op": op, "layer": layer, "vector": vector, "coefficient": 0.5, "floor": _FLOOR}
        )]  # fmt: skip

    def capping(self, number: int) -> list[Intervention]:
        """Every row is capped at 16 layers, or at all that there are."""
        first = max(self.layers // 2 - _CAPPED // 2, 0)
        return [
            Intervention(op="cap", layer=layer, vector="v", floor=_FLOOR)
            for layer in range(first, min(first + _CAPPED, self.layers))
        ]

    def sweep(self) -> GenerateRequest:
        """Every setting of a layer sweep on every question, response tokens steered."""
        settings = [self._setting(layer, c) for layer in self.swept for c in _COEFFICIENTS]
        asked = [
            GenerateRow(
                id=f"{number}-{question}",
                seed=question,
                messages=self.messages(question),
                interventions=[setting],
            )
            for number, setting in enumerate(settings)
            for question in range(_QUESTIONS)
        ]
        return GenerateRequest(rows=asked, sampling=self._sampling(), vectors=self._vectors)

    @property
    def swept(self) -> list[int]:
        """The layers of the sweep: at most eight, evenly spread."""
        count = min(_SWEPT, self.layers)
        return [(2 * i + 1) * self.layers // (2 * count) for i in range(count)]

    def settings(self, share: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Layer and added vector of every ``share``-th setting of the sweep."""
        vector = unpack_vector(self._vectors["v"])
        pairs = [(layer, c * vector) for layer in self.swept for c in _COEFFICIENTS]
        yield from pairs[::share]

    @property
    def n_questions(self) -> int:
        """Questions of a setting of the sweep."""
        return _QUESTIONS

    def _setting(self, layer: int, coefficient: float) -> Intervention:
        return Intervention(
            op="add", layer=layer, vector="v", coefficient=coefficient, positions="response"
        )

    def _sampling(self) -> Sampling:
        return Sampling(temperature=0.7, top_p=0.9, max_new_tokens=self.new_tokens)

    def extraction(self, rows: int) -> ActivationsRequest:
        """Means over the response of prompts with responses, at all layers."""
        length = 90 + self.new_tokens
        rng = np.random.default_rng(1)
        asked = [
            ActivationRow(
                id=f"r{i}",
                token_ids=[int(token) for token in rng.integers(0, 256, size=length)],
                n_prompt=90,
                spans=[Span(name="response", start=90, end=length)],
            )
            for i in range(rows)
        ]
        return ActivationsRequest(rows=asked)

    def likelihood(self, rows: int) -> LikelihoodRequest:
        """Continuations of 32 tokens."""
        asked = [
            LikelihoodRow(
                id=f"r{i}", messages=self.messages(i // 8), continuation_ids=[i % 200 + 1] * 32
            )
            for i in range(rows)
        ]
        return LikelihoodRequest(rows=asked)
