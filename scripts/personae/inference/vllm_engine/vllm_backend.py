"""The vLLM engine as one object: the same requests and results as the torch engine's.

One model on one or several GPUs, or on the CPU; it does no locking.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from personae.api.requests import (
    ActivationRow,
    ActivationsRequest,
    EngineSpec,
    GenerateRequest,
    LikelihoodRequest,
    LikelihoodResult,
)
from personae.api.wire_encoding import unpack_vector
from personae.inference.chat_model import layers_of, prompt_of, scored_ids
from personae.inference.chat_templates import system_inserted
from personae.inference.engine_base import EngineBase
from personae.inference.engine_errors import InterventionError
from personae.inference.torch_engine.activations import SpanActivation
from personae.inference.torch_engine.generation import GenerationResult
from personae.inference.torch_engine.intervention_slots import PlanRow
from personae.inference.torch_engine.sampling import uniforms
from personae.inference.vllm_engine.graph_check import why_not_graphs
from personae.inference.vllm_engine.span_sums import SpanTable
from personae.inference.vllm_engine.step_state import TokenDraws
from personae.inference.vllm_engine.submission import Submitted, Submitter
from personae.inference.vllm_engine.token_scores import ScoreTable
from personae.inference.vllm_engine.vllm_job import Job, Report
from personae.inference.vllm_engine.vllm_loading import VllmModel, load_vllm_model, vllm_version

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]

# Most bytes of span sums that a batch of extractions keeps on the device.
_SUM_BYTES = 2**28


class VllmEngine(EngineBase):
    """Everything a node asks of a model, answered by vLLM.

    Parameters
    ----------
    spec
        Model and embedder folders, dtype, device, and how vLLM shares the device.
    overrides
        vLLM's engine arguments in place of ours, for tests and benchmarks.

    Raises
    ------
    ModelError
        If vLLM is not installed or cannot load the model as asked.
    """

    def __init__(self, spec: EngineSpec, **overrides: Any) -> None:
        self.loaded: VllmModel = load_vllm_model(spec, **overrides)
        super().__init__(spec, self.loaded, f"vllm {vllm_version()}")
        self._submitter = Submitter(self.loaded.engine, self.loaded.stop_ids)
        if all(self._submitter.call("records")):
            self._check_graphs()

    def _check_graphs(self) -> None:
        """Replay graphs only if they do what tensor operations do; the log says which it is."""
        why = why_not_graphs(self.loaded, self._submitter)
        if why is not None:
            self._submitter.call("use_graphs", False)
            logger.warning("vLLM runs without CUDA graphs: %s", why)
        else:
            logger.info("vLLM replays CUDA graphs")

    def generate(
        self, request: GenerateRequest, progress: Progress | None = None
    ) -> Iterator[GenerationResult]:
        """Yield one response for every row, as the rows finish.

        Raises
        ------
        RequestError
            If a row is too long for the model or an intervention does not fit it.
        InterventionError
            If an intervention acted elsewhere than asked, or none of the request ever acted.
        """
        rows, sampling = request.rows, request.sampling
        most = [row.max_new_tokens or sampling.max_new_tokens for row in rows]
        prompts = [prompt_of(self.loaded, row, new) for row, new in zip(rows, most, strict=True)]
        plan = [PlanRow(row.interventions, len(p)) for row, p in zip(rows, prompts, strict=True)]
        uniform = np.zeros((len(rows), max(most, default=1)), dtype=np.float32)
        for i, row in enumerate(rows):
            uniform[i, : most[i]] = uniforms(row.seed, most[i])
        vectors = {name: unpack_vector(text) for name, text in request.vectors.items()}
        job = Job(self.loaded, plan, vectors, draws=TokenDraws(sampling, uniform))
        submitted = [Submitted(p, new) for p, new in zip(prompts, most, strict=True)]
        for number, drawn, reason, _ in job.run(self._submitter, submitted, _told(progress, rows)):
            asked, ids = rows[number], drawn[:-1] if reason == "stop" else drawn
            self.counters["responses"] += 1
            self.counters["response_tokens"] += len(ids)
            yield GenerationResult(
                id=asked.id,
                prompt_ids=prompts[number],
                response_ids=ids,
                text=str(self.loaded.tokenizer.decode(ids, skip_special_tokens=True)),
                finish_reason=reason,
                seed=asked.seed,
                system_inserted=system_inserted(self.loaded.tokenizer, asked.messages),
                fired=job.fired[number],
            )
        job.require_action()

    def activations(
        self, request: ActivationsRequest, progress: Progress | None = None
    ) -> Iterator[SpanActivation]:
        """Yield the mean activation of every span, from a prefill of the rows' token ids.

        Raises
        ------
        RequestError
            If a layer, a token id or a row's length is not the model's.
        InterventionError
            If an intervention acted elsewhere than asked, or none of the request ever acted.
        """
        layers = list(layers_of(self.loaded, request))
        vectors = {name: unpack_vector(text) for name, text in request.vectors.items()}
        rows, fired, done = request.rows, 0, 0
        report = _told(progress, rows)
        most_spans = _SUM_BYTES // (4 * max(len(layers), 1) * self.loaded.hidden_size)
        for batch in _batches(rows, most_spans):
            table = _spans(batch, layers)
            plan = [PlanRow(row.interventions, row.n_prompt) for row in batch]
            job = Job(self.loaded, plan, vectors, spans=table)
            submitted = [Submitted(row.token_ids, whole=True) for row in batch]
            for _ in job.run(self._submitter, submitted, partial(_add_to, report, done)):
                pass
            fired, done = fired + sum(job.fired), done + len(batch)
            assert job.means is not None, "the batch has run to its end"
            places = [table.layers.index(layer) for layer in layers]
            spans = ((row.id, span) for row in batch for span in row.spans)
            for (name, span), means in zip(spans, job.means, strict=True):
                self.counters["spans"] += 1
                yield SpanActivation(name, span.name, span.end - span.start, means[places])
        if not fired and any(row.interventions for row in rows):
            raise InterventionError("no intervention of the request ever acted")

    def loglikelihood(
        self, request: LikelihoodRequest, progress: Progress | None = None
    ) -> Iterator[LikelihoodResult]:
        """Yield the score of every row's continuation.

        Rows that begin alike share what the cache keeps of it. Where a row took even the position
        from which its continuation is drawn, it is run once more without the cache.

        Raises
        ------
        RequestError
            If a row is too long for the model or holds token ids that it does not have.
        InterventionError
            If an intervention acted elsewhere than asked, or none of the request ever acted.
        """
        rows = request.rows
        items = [scored_ids(self.loaded, row) for row in rows]
        plan = [
            PlanRow(row.interventions, len(item.prompt))
            for row, item in zip(rows, items, strict=True)
        ]
        vectors = {name: unpack_vector(text) for name, text in request.vectors.items()}
        report, numbers, fired, done = _told(progress, rows), list(range(len(rows))), 0, 0
        for whole in (False, True):
            table = ScoreTable.of([items[i].continuation for i in numbers])
            job = Job(self.loaded, [plan[i] for i in numbers], vectors, scores=table)
            submitted = [
                Submitted(items[i].prompt + items[i].continuation, whole=whole) for i in numbers
            ]
            missed = []
            for row in job.run(self._submitter, submitted, lambda _: report(done)):  # noqa: B023
                number = numbers[row.number]
                assert row.scores is not None, "the job has continuations"
                if not whole and np.isnan(row.scores).any():
                    missed.append(number)
                    continue
                done += 1
                self.counters["continuations"] += 1
                chosen, best = row.scores
                yield LikelihoodResult(
                    id=rows[number].id,
                    sum_logprob=float(chosen.sum(dtype=np.float64)),
                    n_tokens=len(chosen),
                    logprobs=chosen.tolist() if request.per_token else [],
                    best_logprobs=best.tolist() if request.per_token else [],
                )
            fired += sum(job.fired)
            if not (numbers := missed):
                break
        if not fired and any(row.interventions for row in rows):
            raise InterventionError("no intervention of the request ever acted")


def _told(progress: Progress | None, rows: Sequence[object]) -> Report:
    """Return the callback for the number of finished rows."""
    total = len(rows)
    return (lambda done: progress(done, total)) if progress is not None else (lambda _: None)


def _add_to(report: Report, before: int, done: int) -> None:
    """Report the rows of a batch on top of those before it."""
    report(before + done)


def _batches(rows: Sequence[ActivationRow], most_spans: int) -> Iterator[list[ActivationRow]]:
    """Split rows into consecutive batches of at most so many spans, or of one row."""
    batch: list[ActivationRow] = []
    for row in rows:
        if batch and sum(len(r.spans) for r in (*batch, row)) > most_spans:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _spans(rows: Sequence[ActivationRow], layers: Sequence[int]) -> SpanTable:
    spans = [(i, span.start, span.end) for i, row in enumerate(rows) for span in row.spans]
    return SpanTable(np.array(spans, dtype=np.int32).reshape(-1, 3), sorted(set(layers)))
