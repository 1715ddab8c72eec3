"""An engine without a model, so that tests of processes need not wait for torch.

The user's message is a command: ``sleep S`` (giving up between "batches"), ``stuck S`` (never
looking up), ``crash``, ``crash FILE`` (once), ``break``, ``idle``, ``refuse``, ``need FILE``,
``interventions`` (naming those of its row); anything else is echoed. The name of the model's folder
is a command for the load: ``missing``, ``broken``, ``slow`` or anything.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from personae.api.requests import (
    ActivationsRequest,
    EngineInfo,
    EngineSpec,
    GenerateRequest,
    LikelihoodRequest,
    LikelihoodResult,
    RenderedChat,
    RenderRequest,
    Span,
)
from personae.inference.engine_errors import InterventionError, ModelError, RequestError
from personae.inference.server.backend import OnProgress

LAYERS, HIDDEN = 3, 4


@dataclass
class Result:
    """One stand-in response."""

    id: str
    text: str
    seed: int
    prompt_ids: list[int] = field(default_factory=lambda: [1, 2, 3])
    response_ids: list[int] = field(default_factory=lambda: [4, 5])
    finish_reason: str = "stop"
    system_inserted: str = ""
    fired: int = 0


@dataclass
class Means:
    """Stand-in span means: the vector at layer ``l`` is ``l`` everywhere."""

    id: str
    span: str
    n_tokens: int
    vectors: NDArray[np.float32]


class StandIn:
    """Has the methods of the real engine."""

    def __init__(self, spec: EngineSpec) -> None:
        self._asked: list[str] = []
        self._name = Path(spec.model).name
        with Path(spec.model).with_suffix(".loads").open("a") as file:
            file.write(f"{os.getpid()}\n")
        if self._name == "missing":
            raise ModelError(f"{spec.model} is no prepared model:\nit has no manifest.json")
        if self._name == "broken":
            os.kill(os.getpid(), signal.SIGKILL)
        if self._name == "slow":
            time.sleep(1.5)

    def info(self) -> EngineInfo:
        return EngineInfo(
            model=self._name,
            revision="1",
            weights_digest="abc",
            n_layers=LAYERS,
            hidden_size=HIDDEN,
            max_length=4096,
            dtype="float32",
            device="cpu",
            embedder="stand-in-embedder",
            versions={"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "unset")},
            pid=os.getpid(),
            counters=dict(Counter(self._asked)),
        )

    def generate(self, request: GenerateRequest, progress: OnProgress) -> Iterator[Result]:
        for i, row in enumerate(request.rows):
            progress(i, len(request.rows))
            self._asked.append(row.id)
            said = row.messages[-1].content if row.messages else f"{row.prompt} and on"
            if said == "interventions":
                said = " ".join(f"{i.op} {i.vector} {i.layer}" for i in row.interventions) or "none"
            yield Result(row.id, self._act(said, progress), row.seed)

    def _act(self, command: str, progress: OnProgress) -> str:
        word, _, rest = command.partition(" ")
        if word == "sleep":
            end = time.monotonic() + float(rest)
            while time.monotonic() < end:
                time.sleep(0.05)
                progress(0, 1)
        elif word == "stuck":
            time.sleep(float(rest))
        elif word == "crash" and not (rest and Path(rest).exists()):
            if rest:
                Path(rest).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        elif word == "break":
            raise RuntimeError("the engine\nbroke")
        elif word == "idle":
            raise InterventionError("none acted")
        elif word == "refuse" or (word == "need" and not Path(rest).exists()):
            raise RequestError("layer 7 of 3")
        return command

    def activations(self, request: ActivationsRequest, progress: OnProgress) -> Iterator[Means]:
        layers = request.layers or list(range(LAYERS))
        for row in sorted(request.rows, key=lambda row: -len(row.token_ids)):
            for span in row.spans:
                vectors = np.repeat(np.float32(layers)[:, None], HIDDEN, axis=1)
                yield Means(row.id, span.name, span.end - span.start, vectors)

    def loglikelihood(
        self, request: LikelihoodRequest, progress: OnProgress
    ) -> list[LikelihoodResult]:
        return [LikelihoodResult(id=row.id, sum_logprob=-1.5, n_tokens=3) for row in request.rows]

    def render(self, request: RenderRequest) -> list[RenderedChat]:
        turn = Span(name="turn0", start=1, end=2)
        return [
            RenderedChat(
                id=row.id,
                token_ids=[1, 2],
                turns=[turn] if row.messages[-1].role == "assistant" else [],
                system_inserted="",
                pieces=["<a>", "yes"] if row.pieces else [],
            )
            for row in request.rows
        ]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.float32([[len(text), 1.0] for text in texts]).reshape(-1, 2)
