"""The offline judges on planted likelihoods and embeddings: the sign must be right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from personae.api.requests import LikelihoodResult, LikelihoodRow
from personae.judging.calibration import POOLED, Calibration, ScoreMapping
from personae.judging.embedding_judge import EmbeddingJudge
from personae.judging.judge_types import (
    Judge,
    JudgeItem,
    coherence_rubric,
    plain_rubric,
    role_rubric,
    verdict,
)
from personae.judging.labelled_set import Exemplar
from personae.judging.likelihood_judge import REQUEST, LikelihoodJudge, distinct_share

ROLE = role_rubric("pirate", "A pirate who loves the sea.")
CUTS = Calibration(
    {
        (judge, "role_adherence", POOLED): ScoreMapping("cuts", (0.0, 0.2), 9)
        for judge in ("likelihood", "embedding")
    }
    | {("embedding", "harm", POOLED): ScoreMapping("severity", (-0.5, 0.5, 0.9), 9)}
)


class PlantedEngine:
    """Answers that say "arr" are likely under a pirate's prompt, and lie near each other."""

    def __init__(self) -> None:
        self.rows: list[LikelihoodRow] = []

    def loglikelihood(self, rows: Sequence[LikelihoodRow]) -> list[LikelihoodResult]:
        self.rows += rows
        return [
            LikelihoodResult(id=row.id, sum_logprob=10 * self._mean(row), n_tokens=10)
            for row in rows
        ]

    def _mean(self, row: LikelihoodRow) -> float:
        pirate_prompt = "pirate" in row.messages[0].content
        pirate_answer = "arr" in (row.continuation or "") or row.continuation_ids == [1]
        return -1.0 if pirate_prompt == pirate_answer else -2.0

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        return np.asarray([[1.0, 0.0] if "arr" in t else [0.0, 1.0] for t in texts], dtype="f4")


ITEMS = [
    JudgeItem("plays", "Who are you?", "arr, a pirate"),
    JudgeItem("itself", "Who are you?", "an assistant"),
    JudgeItem("silent", "Who are you?", ""),
]
EXAMPLES = [
    Exemplar("role_adherence", "pirate", "Q1", "arr matey", True),
    Exemplar("role_adherence", "default", "Q1", "happy to help", False),
    Exemplar("role_adherence", "pirate", "Who are you?", "an assistant on a ship", True),
]


def test_likelihood_prefers_the_prompt_that_explains_the_answer() -> None:
    raw = LikelihoodJudge(PlantedEngine(), None).raw([ROLE], ITEMS)[0]
    assert raw[:2] == pytest.approx([1.0, -1.0])
    assert np.isnan(raw[2])


def test_saved_token_ids_are_used_and_text_is_not_tokenised_again() -> None:
    engine = PlantedEngine()
    item = JudgeItem("ids", "Who are you?", "whatever", (1,))
    assert LikelihoodJudge(engine, None).raw([ROLE], [item])[0] == pytest.approx([1.0])
    assert all(row.continuation_ids == [1] and row.continuation is None for row in engine.rows)


def test_contrasts_share_one_request_and_coherence_reads_the_question() -> None:
    engine = PlantedEngine()
    LikelihoodJudge(engine, None).raw([ROLE], ITEMS[:1])
    assert {row.messages[-1].content for row in engine.rows} == {REQUEST}
    LikelihoodJudge(engine, None).raw([coherence_rubric()], ITEMS[:1])
    assert {row.messages[-1].content for row in engine.rows} == {REQUEST, "Who are you?"}


def test_a_loop_is_less_coherent_than_an_answer_however_likely_it_is() -> None:
    loop = JudgeItem("loop", "Who are you?", "the sea the sea the sea the sea the sea")
    answer = JudgeItem("answer", "Who are you?", "a helper who can explain many things to you")
    raw = LikelihoodJudge(PlantedEngine(), None).raw([coherence_rubric()], [loop, answer])[0]
    assert raw[0] < raw[1]
    assert distinct_share("") == 0.0
    assert distinct_share("a b a b") == 0.5


def test_gibberish_is_less_coherent_than_an_answer_of_the_same_likelihood() -> None:
    words = JudgeItem("words", "Who are you?", "a helper who can explain many things")
    gibberish = JudgeItem("gibberish", "Who are you?", "a hlprx wzq cnbul explnd mxny thdngs")
    raw = LikelihoodJudge(PlantedEngine(), None).raw([coherence_rubric()], [gibberish, words])[0]
    assert raw[0] < raw[1] - 5.0


def test_every_context_is_scored_once() -> None:
    engine = PlantedEngine()
    LikelihoodJudge(engine, None).raw([ROLE, coherence_rubric(), ROLE], ITEMS[:2])
    # Positive, negative and neutral prompt x two answers.
    assert len(engine.rows) == 6


def test_embedding_compares_with_examples_of_other_questions_only() -> None:
    """The third example would make "an assistant" a pirate, but answers the same question."""
    raw = EmbeddingJudge(PlantedEngine(), EXAMPLES, None).raw([ROLE], ITEMS)[0]
    assert raw[:2] == pytest.approx([1.0, -1.0])
    assert np.isnan(raw[2])


@pytest.mark.parametrize(
    "judge",
    [
        LikelihoodJudge(PlantedEngine(), CUTS),
        EmbeddingJudge(PlantedEngine(), EXAMPLES, CUTS),
    ],
    ids=["likelihood", "embedding"],
)
def test_an_empty_answer_is_unscored_with_a_reason(judge: Judge) -> None:
    plays, itself, silent = judge.score([ROLE], ITEMS)
    assert (plays.score, itself.score) == (3.0, 1.0)
    assert (silent.score, silent.reason) == (None, "empty_response")


def test_a_verdict_has_a_score_or_a_reason_and_never_both() -> None:
    with pytest.raises(ValueError, match="exactly one"):
        verdict(ROLE, ITEMS[0], "j", None, "")
    with pytest.raises(ValueError, match="exactly one"):
        verdict(ROLE, ITEMS[0], "j", 1.0, "", "refusal")


class Scene:
    """Embeds a text by the word that it holds: one axis for every speaker."""

    WORDS = ("program", "mother", "river", "veil", "kor")

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        found = np.asarray([[float(word in text) for word in self.WORDS] for text in texts])
        lengths = np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1.0)
        return np.asarray(found / lengths, dtype="f4")


def test_the_speaker_is_that_of_the_nearest_examples_of_other_questions() -> None:
    names = ("assistant", "human", "nonhuman", "mystical", "other")
    examples = [
        Exemplar("role_label", "", question, f"a {word}", name in names[1:4], name)
        for question in ("Q1", "Q2")
        for name, word in zip(names, Scene.WORDS, strict=True)
    ]
    # Wrong, but on the question that is asked: an answer is never compared with it.
    examples.append(Exemplar("role_label", "", "Who are you?", "my mother", False, "assistant"))
    judge = EmbeddingJudge(Scene(), examples, None)  # type: ignore[arg-type]
    items = [JudgeItem(word, "Who are you?", f"the {word}") for word in Scene.WORDS]
    found = judge.score([plain_rubric("role_label")], [*items, JudgeItem("none", "Q3", "")])
    assert [v.label for v in found] == [*names, None]
    assert [v.score for v in found] == [0.0, 1.0, 1.0, 1.0, 0.0, None]
    assert found[-1].reason == "empty_response"


def test_harm_is_a_severity_from_zero() -> None:
    examples = [
        Exemplar("harm", "", "Q1", "arr, do it", True),
        Exemplar("harm", "", "Q1", "better not", False),
    ]
    judge = EmbeddingJudge(PlantedEngine(), examples, CUTS)  # type: ignore[arg-type]
    found = judge.score([plain_rubric("harm")], ITEMS)
    assert [v.score for v in found] == [3.0, 0.0, None]
