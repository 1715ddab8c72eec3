"""What nodes depend on: the study's own personas, and no more of the library than that."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np
import pytest

from personae.judging.judge_types import OFFLINE_KINDS, role_rubric
from personae.judging.labelled_set import labelled_items
from personae.personas.library import SpaceTemplate, SpaceTrait, expand_trait
from personae.science.trait_filter import Ratings
from personae.science.trait_vectors import TraitFilter
from personae.workflow import node_params
from personae.workflow.config import ConfigError, Study, load_study
from personae.workflow.config.study import spread
from tests.unit.conftest import ROOT

FRUGAL = SpaceTrait(
    slug="frugal",
    category="moral",
    name="frugal",
    antonym="lavish",
    positive="Spend {little}.",
    negative="Spend much.",
)


@pytest.fixture
def study(demo: dict[str, Any]) -> Study:
    return load_study(demo, ROOT)


def test_judges_are_measured_on_the_studys_own_and_enough_others(study: Study) -> None:
    traits = node_params.judged_traits(study)
    assert set(study.trait_names) <= set(traits)
    assert len(traits) == 6
    roles = node_params.judged_roles(study)
    labelled = {answer.role for answer in study.library.labelled.roles}
    assert set(roles) == labelled & set(study.role_names)
    # What the demo spends on calibration does not grow with the labelled set.
    items = labelled_items(study.library.labelled, traits, roles)
    assert sum(item.rubric.kind in OFFLINE_KINDS for item in items) <= 450
    assert {item.rubric.kind for item in items} > OFFLINE_KINDS


def test_the_rubrics_that_judges_are_measured_by_are_those_that_rules_judge_by(
    study: Study,
) -> None:
    calls = [
        found
        for path in (ROOT / "rules").glob("*.smk")
        for found in re.findall(r"judging=judging_params\((.*?)\)", path.read_text(), re.DOTALL)
    ]
    kinds = set(re.findall(r'"([a-z_]+)"', " ".join(calls)))
    assert len(calls) >= 5
    assert node_params.judged_kinds(study) == kinds
    assert set(node_params.measuring(study)["kinds"]) == kinds


def test_a_study_of_few_roles_is_measured_on_eight(demo: dict[str, Any]) -> None:
    demo["roles"]["names"] = ["pirate", "wizard", "ghost", "cat"]
    study = load_study(demo, ROOT)
    assert len(node_params.judged_roles(study)) == 8


def test_a_roles_rubric_reaches_the_chat_judge_alone(study: Study) -> None:
    record = node_params.role_record(study, "pirate")
    rubric = role_rubric(**record)
    plain = role_rubric(record["slug"], record["description"])
    assert study.library.roles["pirate"].rubric in rubric.text
    assert (rubric.positive, rubric.negative) == (plain.positive, plain.negative)


def test_templates_are_filled_in_once() -> None:
    template = SpaceTemplate(
        positive="Be {name}, not {antonym}: {positive} {positive}", negative="{negative} {name}!"
    )
    trait = expand_trait(FRUGAL, [template])
    (pair,) = trait.pairs
    assert pair.positive == "Be frugal, not lavish: Spend {little}. Spend {little}."
    assert pair.negative == "Spend much. frugal!"
    assert "frugal" in trait.rubric
    assert "REFUSAL" in trait.rubric
    assert trait.description == "Frugal, not lavish."


def test_the_trait_space_answers_the_roles_questions(demo: dict[str, Any]) -> None:
    demo["trait_space"] = {"names": ["frugal"], "questions": 2}
    study = load_study(demo, ROOT)
    assert study.space_names == ["frugal"]
    assert "frugal" not in study.trait_names
    rollouts = node_params.trait_rollouts(study, "frugal", "negative")
    assert rollouts["adjective"] == study.space["frugal"].antonym
    assert len(rollouts["instructions"]) == 5
    assert rollouts["questions"] == [[q.id, q.text] for q in study.library.extraction[:2]]
    assert node_params.judged_trait(study, "frugal")["slug"] == "frugal"
    assert node_params.trait_rubrics(study, "frugal") == ["trait"]
    assert node_params.trait_rubrics(study, study.trait_names[0]) == ["trait", "coherence"]
    assert node_params.trait_spans(study, "frugal") == ["response_mean"]
    assert node_params.trait_filter(study, "frugal") == {
        "pairing": "rows",
        "min_trait": None,
        "min_coherence": None,
        "min_difference": 50,
        "min_kept": 10,
    }
    assert node_params.trait_filter(study, "poetic") == {
        "pairing": "rows",
        "min_trait": study.config.traits.min_trait_score,
        "min_coherence": study.config.traits.min_coherence,
    }


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"names": ["frugl"]}, "trait_space.names.0.: no trait 'frugl' in the trait space"),
        ({"names": "all", "pairs": 6}, "trait_space.pairs: 6 is too many"),
        ({"names": "all", "questions": 7}, "trait_space.questions: 7 is too many, roles answer 6"),
        ({"names": ["frugal"], "count": 2}, "trait_space.count: 2 is too many"),
        ({"names": "some"}, "trait_space.names: .*'all' or 'none'"),
    ],
)
def test_a_wrong_trait_space_is_one_line(
    demo: dict[str, Any], problems: Any, section: dict[str, Any], words: str
) -> None:
    demo["trait_space"] = section
    (line,) = problems(demo)
    assert re.search(words, line), line


def test_published_vectors_must_be_there(demo: dict[str, Any], problems: Any) -> None:
    source = {"model": "smollm2_135m", "kind": "role", "path": "nowhere.pt", "layers": "blocks"}
    demo["published"] = [source]
    (line,) = problems(demo)
    assert "published[0].path: no .pt, .safetensors or .gguf file at 'nowhere.pt'" in line
    demo["published"] = [{**source, "model": "smollm2_13m"}]
    (line,) = problems(demo)
    assert "'smollm2_13m' is not in models (did you mean 'smollm2_135m'?)" in line


def test_a_count_takes_from_every_category_in_turn(study: Study) -> None:
    roles = study.library.roles
    categories = Counter(role.category for role in roles.values())
    chosen = spread(list(roles), roles, 3 * len(categories))
    assert Counter(roles[name].category for name in chosen) == dict.fromkeys(categories, 3)
    assert chosen == [name for name in roles if name in chosen]
    assert spread(list(roles), roles, None) == list(roles)


def test_cells_of_the_trait_space_differ_by_enough() -> None:
    def side(scores: list[float]) -> Ratings:
        n = len(scores)
        return Ratings(
            pair=np.zeros(n, dtype=int),
            question=np.arange(n),
            sample=np.zeros(n, dtype=int),
            trait=np.asarray(scores),
            coherence=np.full(n, 100.0),
        )

    wanted = TraitFilter("rows", min_trait=None, min_coherence=0, min_difference=50, min_kept=2)
    kept = wanted.effective(side([100, 60, 40, 90]), side([60, 5, 0, 40]))
    assert kept.positive.tolist() == [False, True, False, True]
    papers = TraitFilter("rows", min_trait=50, min_coherence=50)
    kept = papers.effective(side([100, 60, 40, 90]), side([60, 5, 0, 40]))
    assert kept.positive.tolist() == [False, True, False, True]


def test_monitored_prompts_are_spread_over_the_grades(demo: dict[str, Any]) -> None:
    demo["monitoring"]["prompts"] = 3
    study = load_study(demo, ROOT)
    graded = study.traits["poetic"].monitoring
    assert node_params.monitoring(study, "poetic")["prompts"] == [graded[0], graded[4], graded[7]]
    demo["monitoring"]["prompts"] = None
    assert node_params.monitoring(load_study(demo, ROOT), "poetic")["prompts"] == graded


def test_examples_that_no_condition_shows_are_not_in_the_record(demo: dict[str, Any]) -> None:
    demo["monitoring"]["shots"] = [1, 3]
    study = load_study(demo, ROOT)
    shown = study.traits["poetic"].many_shot
    examples = node_params.monitoring(study, "poetic")["examples"]
    assert examples == [[each.user, each.assistant] for each in shown[:3]]
    demo["monitoring"]["shots"] = [4, 21]
    with pytest.raises(ConfigError, match=r"monitoring\.shots: 21 is too many, poetic, .* has 20"):
        load_study(demo, ROOT)
