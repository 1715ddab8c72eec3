"""The comparisons, each with the target that the engine is held to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from personae.api.requests import (
    ActivationRow,
    ActivationsRequest,
    GenerateRequest,
    Intervention,
    LikelihoodRequest,
)
from personae.inference.torch_engine.activations import activations
from personae.inference.torch_engine.generation import generate
from personae.inference.torch_engine.likelihood import loglikelihood
from personae.tools.bench.bench_models import ModelPair
from personae.tools.bench.hardware_limits import decode_limit
from personae.tools.bench.measurement import BenchComparison, Run, rate
from personae.tools.bench.workload import (
    capped,
    chat_of,
    directions,
    extraction_rows,
    generation,
    judging_rows,
    mixed,
    responses,
    unequal,
)


@dataclass(frozen=True)
class Sizes:
    """The amount of work of one repeat."""

    rows: int = 64
    tokens: int = 48
    requests: int = 128
    budgets: tuple[int, int] = (8, 96)
    layers: int = 8
    coefficients: int = 4
    questions: int = 8
    sweep_tokens: int = 16
    texts: int = 32
    samples: int = 8
    lengths: tuple[int, int] = (16, 96)


class Suite:
    """The comparisons of one contest, by name.

    Rates are new tokens per second (generation), tokens per second (extraction) and pairs of
    prompt and response per second (likelihood).
    """

    def __init__(self, contest: ModelPair, sizes: Sizes) -> None:
        self._contest, self._sizes = contest, sizes
        self._device = contest.ours.device
        self._vectors = directions(contest.ours.hidden_size)

    def comparisons(self) -> list[BenchComparison]:
        """Return all that run in this process."""
        # Once unmeasured: the first calls of both sides set up threads and kernels.
        self._contest.plain.generate(self._prompts(4), 4)
        self._contest.plain.forward(4, 32, head=True)
        self._generate(generation(4, 4))()
        return [*self._generation(), *self._interventions(), *self._extraction(), self._judge()]

    def _generate(self, request: GenerateRequest) -> Run:
        """Return the engine's rate of new tokens."""

        def work() -> int:
            results = generate(self._contest.ours, request)
            return sum(len(result.response_ids) for result in results)

        return rate(self._device, work)

    def _prompts(self, count: int) -> list[list[int]]:
        return [self._contest.prompt(chat_of(i)) for i in range(count)]

    def _generation(self) -> list[BenchComparison]:
        s, plain = self._sizes, self._contest.plain
        prompts, ours = self._prompts(s.rows), self._generate(generation(s.rows, s.tokens))
        width = len(prompts[0])
        longest = max(s.budgets)
        budgets = unequal(s.requests, *s.budgets)
        many = self._prompts(s.requests)
        uneven = self._generate(generation(s.requests, longest, budgets=budgets))
        return [
            BenchComparison(
                "generation / transformers generate",
                ours,
                rate(self._device, lambda: plain.generate(prompts, s.tokens)),
                2.5,
            ),
            BenchComparison(
                "generation / plain forward",
                ours,
                rate(self._device, lambda: plain.forward(s.rows // 2, width, head=True)),
                0.5,
            ),
            BenchComparison("generation / machine limit", ours, self._limit(), None),
            BenchComparison(
                "unequal requests / static batches of 32",
                uneven,
                rate(self._device, lambda: plain.generate_static(many, budgets)),
                3.0,
            ),
        ]

    def _limit(self) -> Run:
        """Return the new tokens per second that memory and arithmetic would allow."""
        limits: list[float] = []

        def run() -> float:
            if not limits:
                limits.append(decode_limit(self._contest.ours, self._sizes.rows))
            return limits[0]

        return run

    def _interventions(self) -> list[BenchComparison]:
        s, layers = self._sizes, self._contest.ours.n_layers
        without = self._generate(generation(s.rows, s.tokens))

        def steered(interventions: Sequence[Sequence[Intervention]]) -> Run:
            return self._generate(generation(s.rows, s.tokens, interventions, self._vectors))

        return [
            BenchComparison(
                "mixed interventions / none", steered(mixed(s.rows, layers)), without, 0.95
            ),
            BenchComparison(
                "capping at 16 layers / none", steered(capped(s.rows, layers)), without, 0.95
            ),
            self._sweep(),
        ]

    def _sweep(self) -> BenchComparison:
        """Return a layer sweep: one mixed request against one hooked ``generate`` a setting.

        As in the workflow's studies, both sides steer response tokens.
        All settings cost the other side the same, so it runs one of each layer only.
        """
        s, plain = self._sizes, self._contest.plain
        step = max(1, self._contest.ours.n_layers // (s.layers + 1))
        layers = [step * (i + 1) for i in range(s.layers)]
        settings = [(layer, 0.5 * (c + 1)) for layer in layers for c in range(s.coefficients)]
        adds = [
            [
                Intervention(
                    op="add",
                    layer=layer,
                    vector="v0",
                    coefficient=coefficient,
                    positions="response",
                )
            ]
            for layer, coefficient in settings
            for _ in range(s.questions)
        ]
        request = generation(len(adds), s.sweep_tokens, adds, self._vectors)
        prompts, vector = self._prompts(s.questions), self._vectors["v0"]

        def hooked() -> int:
            return sum(
                plain.generate_hooked(prompts, s.sweep_tokens, layer, vector, coefficient)
                for layer, coefficient in settings[:: s.coefficients]
            )

        return BenchComparison(
            "layer sweep / generate with hooks",
            self._generate(request),
            rate(self._device, hooked),
            4.0,
        )

    def _extraction(self) -> list[BenchComparison]:
        s, contest = self._sizes, self._contest
        answers = responses(contest.ours.vocab_size, s.texts, *s.lengths)
        prompts = self._prompts(s.texts)
        alone = extraction_rows(prompts, answers)
        # As in PV, every prompt is answered several times.
        sampled = [prompts[i - i % s.samples] for i in range(s.texts)]
        tokens = sum(len(row.token_ids) for row in alone)

        def forward() -> int:
            return contest.plain.forward(s.texts, tokens // s.texts, head=False)

        return [
            BenchComparison(
                "extraction / plain forward without head",
                self._extract(alone),
                rate(self._device, forward),
                0.95,
            ),
            self._row_by_row("extraction / hidden states row by row", alone),
            self._row_by_row(
                f"extraction, {s.samples} answers a prompt / hidden states row by row",
                extraction_rows(sampled, answers),
            ),
        ]

    def _extract(self, rows: list[ActivationRow]) -> Run:
        """Return the engine's rate of tokens, those that rows have in common counted in each."""
        request = ActivationsRequest(rows=rows)
        tokens = sum(len(row.token_ids) for row in rows)

        def extract() -> int:
            assert len(list(activations(self._contest.ours, request))) == len(rows)
            return tokens

        return rate(self._device, extract)

    def _row_by_row(self, metric: str, rows: list[ActivationRow]) -> BenchComparison:
        plain = self._contest.plain
        usual = [(row.token_ids, row.n_prompt) for row in rows]
        other = rate(self._device, lambda: plain.hidden_states(usual))
        return BenchComparison(metric, self._extract(rows), other, 4.0)

    def _judge(self) -> BenchComparison:
        s, contest = self._sizes, self._contest
        answers = responses(contest.ours.vocab_size, s.texts, *s.lengths)
        rows = judging_rows(answers)
        pairs = [(contest.prompt(row.messages), list(row.continuation_ids or ())) for row in rows]
        request = LikelihoodRequest(rows=rows)
        return BenchComparison(
            "likelihood judge / one forward a pair",
            rate(self._device, lambda: len(list(loglikelihood(contest.ours, request)))),
            rate(self._device, lambda: contest.plain.score(pairs)),
            3.0,
        )
