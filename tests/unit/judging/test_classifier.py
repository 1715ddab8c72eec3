"""The classifier: held-out training, features that gibberish fails, levels that are reachable."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from personae.data import tables
from personae.judging.calibration import Calibration
from personae.judging.classifier_judge import ClassifierJudge
from personae.judging.judge_factory import Panel
from personae.judging.judge_types import JudgeItem, coherence_rubric, role_rubric, trait_rubric
from personae.judging.labelled_set import LabelledItem, exemplars, labelled_items
from personae.judging.labelled_set_scores import measure_panel
from personae.judging.surface_features import NAMES, dictionary_share, is_word, surface_features
from personae.personas.library import load_labelled

LABELLED = load_labelled(str(Path(__file__).resolve().parents[3] / "config/judging"))
TRAIT = trait_rubric(
    {"slug": "loud", "name": "loud", "antonym": "quiet", "description": "Shouts.",
     "positive": "Shout.", "negative": "Whisper.", "rubric": "Is it loud?"}
)  # fmt: skip


class Bags:
    """Embeds a text as the normalised counts of its letters."""

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        counts = np.array(
            [[t.lower().count(c) + 0.1 for c in "abcdefghijklmnopqrstuvwxyz"] for t in texts]
        )
        return np.asarray(counts / np.linalg.norm(counts, axis=1, keepdims=True), dtype="f4")


def loud_items(n: int = 40) -> list[LabelledItem]:
    """Return answers to ten questions, of which every second one is loud."""
    rng = np.random.default_rng(0)
    words = ["river", "table", "window", "garden", "letter", "bread", "music", "winter"]
    made = []
    for i in range(n):
        text = " ".join(rng.choice(words, 8)) + ("!!!" if i % 2 else ".")
        item = JudgeItem(f"i{i}", f"Q{i // 4}", text)
        made.append(LabelledItem(TRAIT, item, 90.0 if i % 2 else 10.0))
    return made


def test_scores_follow_the_labels_on_questions_that_were_not_trained_on() -> None:
    items = loud_items()
    judge = ClassifierJudge(Bags(), [], None)
    measured = measure_panel(Panel(judge), items, bias_checks=False)
    scores = {row["item_id"]: row["score"] for row in measured.scored}
    loud = [scores[f"i{i}"] for i in range(1, 40, 2)]
    quiet = [scores[f"i{i}"] for i in range(0, 40, 2)]
    assert min(loud) > 50 > max(quiet)


def test_labels_that_say_nothing_give_no_held_out_accuracy() -> None:
    rng = np.random.default_rng(1)
    items = [i._replace(label=float(rng.choice((10.0, 90.0)))) for i in loud_items()]
    measured = measure_panel(Panel(ClassifierJudge(Bags(), [], None)), items, bias_checks=False)
    raw = np.array([row["raw"] for row in measured.scored])
    high = np.array([row["label"] > 50 for row in measured.scored])
    wins = (raw[high][:, None] > raw[~high]).mean()
    assert wins < 0.75


def test_a_table_holds_the_models_and_a_node_that_judges_trains_nothing() -> None:
    items = loud_items()
    measured = measure_panel(Panel(ClassifierJudge(Bags(), [], None)), items, bias_checks=False)
    table = measured.calibration.to_table()
    tables.assemble([table], "calibration")
    judge = ClassifierJudge(Bags(), [], Calibration.from_table(table))
    words = "music bread garden letter window table garden river"
    answers = {"a": f"{words}!!!", "b": f"{words}.", "c": ""}
    asked = [JudgeItem(name, "new", text) for name, text in answers.items()]
    loud, quiet, empty = judge.score([TRAIT], asked)
    assert loud.score is not None
    assert quiet.score is not None
    assert loud.score > 50 > quiet.score
    assert (empty.score, empty.reason) == (None, "empty_response")


def test_all_levels_of_role_adherence_are_given_on_held_out_questions() -> None:
    roles = {a.role: {"slug": a.role, "description": f"A {a.role}."} for a in LABELLED.roles}
    items = [
        item for item in labelled_items(LABELLED, {}, roles) if item.rubric.kind == "role_adherence"
    ]
    judge = ClassifierJudge(Bags(), exemplars(LABELLED), None)
    measured = measure_panel(Panel(judge), items, bias_checks=False)
    assert {row["score"] for row in measured.scored} == {0.0, 1.0, 2.0, 3.0}


def test_gibberish_is_less_coherent_than_an_answer() -> None:
    judge = ClassifierJudge(Bags(), exemplars(LABELLED), None)
    items = [i for i in labelled_items(LABELLED, {}, {}) if i.rubric.kind == "coherence"]
    measured = measure_panel(Panel(judge), items, bias_checks=False)
    asked = ClassifierJudge(Bags(), [], measured.calibration)
    broken, fine = asked.score(
        [coherence_rubric()],
        [
            JudgeItem("broken", "What should I wear to a wedding?",
                      "When *OreAbDUBAUBILUBAU*Bulucca*o*Undis*um Sus**PDAMS*CabBdS*CCU"),
            JudgeItem("fine", "What should I wear to a wedding?",
                      "A dark suit or a simple dress will do. Ask the hosts if you are unsure."),
        ],
    )  # fmt: skip
    assert broken.score is not None
    assert fine.score is not None
    assert broken.score < 20
    assert broken.score < fine.score - 10


def test_style_groups_cover_all_labelled_answers() -> None:
    items = loud_items()
    judge = ClassifierJudge(Bags(), [], None)
    judge.learn(items)
    styles = judge.styles(items)
    assert set(styles) == {item.item.response for item in items}
    assert len(set(styles.values())) > 1


def test_a_kind_without_a_model_is_refused() -> None:
    judge = ClassifierJudge(Bags(), [], Calibration({}))
    with pytest.raises(ValueError, match="not trained for rubric 'role_adherence'"):
        judge.raw([role_rubric("pirate", "A pirate.")], [JudgeItem("a", "Q", "arr")])


@pytest.mark.parametrize(
    "word", ["garden", "Gardens", "walking", "stopped", "happily", "don't", "I"]
)
def test_words_and_their_regular_endings_are_known(word: str) -> None:
    assert is_word(word)


@pytest.mark.parametrize("word", ["OreAbDUBAUBILUBAU", "Undisum", "krrewf", "zzq"])
def test_nonsense_is_not(word: str) -> None:
    assert not is_word(word)


def test_shares_and_features() -> None:
    assert dictionary_share("the garden is green") == 1.0
    assert dictionary_share("xqzt garden") == pytest.approx(6 / 10)
    assert dictionary_share("12 !!") == 0.0
    found = surface_features(["As an AI, I cannot do that.", "a a a a", ""])
    assert found.shape == (3, len(NAMES))
    assert np.isfinite(found).all()
    at = {name: i for i, name in enumerate(NAMES)}
    assert found[:, at["ai"]].tolist() == [1.0, 0.0, 0.0]
    assert found[:, at["refusal"]].tolist() == [1.0, 0.0, 0.0]
    assert found[1, at["distinct_share"]] == 0.25
