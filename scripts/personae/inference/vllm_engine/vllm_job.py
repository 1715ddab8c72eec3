"""One request's work in vLLM: its rows run, their interventions verified, their sums fetched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from personae.inference.chat_model import ChatModel, Vectors
from personae.inference.engine_errors import InterventionError
from personae.inference.intervention_buffers.intervention_tables import build_tables
from personae.inference.torch_engine.decoding import FinishReason
from personae.inference.torch_engine.intervention_slots import PlanRow
from personae.inference.vllm_engine.span_sums import SpanTable
from personae.inference.vllm_engine.step_state import InterventionCounts, TokenDraws, WorkerRequest
from personae.inference.vllm_engine.submission import FinishedOutput, Submitted, Submitter
from personae.inference.vllm_engine.token_scores import ScoreTable
from personae.inference.vllm_engine.verification import verify_row

Report = Callable[[int], None]
"""Called with the number of finished rows; may raise to give the work up."""


class FinishedRow(NamedTuple):
    """A row's number, the tokens drawn for it with the one that ended it, and why it ended.

    ``scores`` [2, tokens] are the log-probabilities of its continuation's tokens and of the
    likeliest in their place, if they are wanted; NaN where the cache had the position.
    """

    number: int
    drawn: list[int]
    reason: FinishReason
    scores: NDArray[np.float32] | None


class Job:
    """Rows with their interventions, to be run together.

    Attributes
    ----------
    fired
        Positions at which each finished row's interventions acted, summed over them.
    means
        float32 [n_spans, n_layers, hidden] once all rows have finished, if there are spans.
    logits
        float32 [rows, new tokens, vocabulary] once all rows have finished, if tokens were given.
    """

    def __init__(
        self,
        model: ChatModel,
        plan: Sequence[PlanRow],
        vectors: Vectors,
        *,
        draws: TokenDraws | None = None,
        spans: SpanTable | None = None,
        scores: ScoreTable | None = None,
        given: NDArray[np.int32] | None = None,
    ) -> None:
        self._plan = plan
        tables = build_tables(model, plan, vectors)
        self.work = WorkerRequest(
            n_prompt=np.array([row.n_prompt for row in plan], dtype=np.int32),
            prefix=_namespaces(plan, tables.program),
            tables=tables,
            draws=draws,
            spans=spans,
            scores=scores,
            given=given,
        )
        self.fired = [0] * len(plan)
        self.means: NDArray[np.float32] | None = None
        self.logits: NDArray[np.float32] | None = None

    def run(
        self, submitter: Submitter, rows: Sequence[Submitted], report: Report
    ) -> Iterator[FinishedRow]:
        """Yield rows as they finish and their interventions have been verified."""
        done = 0
        submitter.call("begin_work", self.work)
        for names in submitter.run(rows, self.work.prefix.tolist()):
            finished = self._finished(submitter, names)
            self._verify(submitter, rows, finished)
            yield from finished
            done += len(finished)
            report(done)
        if self.work.spans is not None:
            self.means = self._means(submitter)
        if self.work.given is not None:
            self.logits = submitter.call("kept_logits")[0]
        submitter.call("end_work")

    def require_action(self) -> None:
        """Raise `InterventionError` if there were interventions and none ever acted."""
        if any(row.interventions for row in self._plan) and not any(self.fired):
            raise InterventionError("no intervention of the request ever acted")

    def _finished(
        self, submitter: Submitter, outputs: Sequence[FinishedOutput]
    ) -> list[FinishedRow]:
        scores: list[NDArray[np.float32] | None] = [None] * len(outputs)
        if self.work.scores is not None and outputs:
            scores = submitter.call("row_scores", [number for number, _ in outputs])[0]
        return [
            FinishedRow(number, list(completion.token_ids), completion.finish_reason, found)
            for (number, output), found in zip(outputs, scores, strict=True)
            for completion in output.outputs
        ]

    def _verify(
        self, submitter: Submitter, rows: Sequence[Submitted], finished: Sequence[FinishedRow]
    ) -> None:
        steered = [row for row in finished if self._plan[row.number].interventions]
        if not steered:
            return
        ranks: list[list[InterventionCounts]] = submitter.call(
            "row_results", [row.number for row in steered]
        )
        for row, *acted in zip(steered, *ranks, strict=True):
            interventions, n_prompt = self._plan[row.number]
            fed = len(rows[row.number].ids) + len(row.drawn) - 1
            self.fired[row.number] = verify_row(interventions, n_prompt, fed, acted)

    def _means(self, submitter: Submitter) -> NDArray[np.float32]:
        """Return the spans' means; every rank holds the same sums, the first one's are taken.

        Raises
        ------
        InterventionError
            If a token of a span was missed or counted twice.
        """
        assert self.work.spans is not None, "only asked where there are spans"
        sums, counted = submitter.call("span_sums")[0]
        _, start, end = self.work.spans.spans.T
        lengths = end - start
        if wrong := np.flatnonzero(counted != lengths).tolist():
            first = wrong[0]
            raise InterventionError(
                f"{counted[first]} tokens of a span were seen, not {lengths[first]}"
            )
        means: NDArray[np.float32] = sums / lengths[:, None, None].astype(np.float32)
        return means


def _namespaces(plan: Sequence[PlanRow], program: NDArray[np.int32]) -> NDArray[np.int32]:
    """Number the rows' cache namespaces: rows of one are treated alike, token by token.

    A steered prompt never takes a prefix that was steered otherwise or not at all. Where an
    intervention is bound to prompt or response, its rows' prompts must also end at the same place.
    """
    numbers: dict[tuple[int, int], int] = {(0, 0): 0}
    found = []
    for row, number in zip(plan, program.tolist(), strict=True):
        bound = any(one.positions != "all" for one in row.interventions)
        key = (number, row.n_prompt if bound else 0)
        found.append(numbers.setdefault(key, len(numbers)))
    return np.array(found, dtype=np.int32)
