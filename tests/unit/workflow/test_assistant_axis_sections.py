"""The sections about steering along the axis: what they select, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest

from personae.workflow import node_params
from personae.workflow.config import ConfigError, load_study
from personae.workflow.estimate.node_work import WorkCounter
from personae.workflow.estimate.rates import load_rates
from personae.workflow.stages.registry import STAGES, nodes
from tests.unit.conftest import ROOT


def test_all_are_the_susceptible_roles_and_a_count_takes_some(demo: dict[str, Any]) -> None:
    demo["susceptibility"] |= {"roles": "all", "count": 7}
    study = load_study(demo, ROOT)
    assert len(study.susceptible_roles) == 7
    assert all(role.susceptible for role in study.susceptible_roles.values())
    record = node_params.susceptibility(study, "smollm2_135m")
    assert record is not None
    assert record["layer"] == study.models["smollm2_135m"].middle_layer
    assert [name for name, _ in record["questions"]][:2] == ["who_are_you", "your_name"]


def test_without_the_section_there_is_no_node_and_no_label_is_measured(
    demo: dict[str, Any],
) -> None:
    demo["susceptibility"] = None
    study = load_study(demo, ROOT)
    for rule in ("steer_roles", "judge_speakers", "summarize_speakers", "plot_susceptibility"):
        assert not list(nodes(STAGES[rule], study, "smollm2_135m"))
    assert "role_label" not in node_params.measuring(study)["kinds"]


def test_the_judge_that_decides_on_labels_is_the_first_that_knows_them(
    demo: dict[str, Any],
) -> None:
    demo["judging"] |= {"primary": "likelihood", "second": "embedding", "sampled": []}
    assert node_params.deciding_judge(load_study(demo, ROOT), "role_label") == "embedding"
    assert node_params.deciding_judge(load_study(demo, ROOT), "coherence") == "likelihood"
    demo["judging"] |= {"primary": "embedding", "second": "likelihood"}
    assert node_params.deciding_judge(load_study(demo, ROOT), "role_label") == "embedding"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"roles": ["librarain"]}, "susceptibility.roles[0]: no role 'librarain' in the library"),
        ({"strengths": [1.0, 2.0, 3.0]}, "must hold 0 and values of both signs"),
        ({"random_directions": 9}, "susceptibility.random_directions: 9 is too many"),
        ({"layer": 30}, "susceptibility.layer: 30 is out of range"),
        ({"unit": "meters"}, "susceptibility.unit"),
    ],
)
def test_a_wrong_setting_is_one_line(
    demo: dict[str, Any], changes: dict[str, Any], said: str
) -> None:
    demo["susceptibility"] |= changes
    with pytest.raises(ConfigError) as refused:
        load_study(demo, ROOT)
    assert len(refused.value.problems) == 1
    assert said in refused.value.problems[0]


def test_labels_need_a_judge_that_gives_them(demo: dict[str, Any]) -> None:
    demo["judging"] |= {"primary": "likelihood", "second": None, "sampled": []}
    with pytest.raises(ConfigError, match=r"susceptibility: the likelihood judge does not score"):
        load_study(demo, ROOT)


def test_harm_arms_are_caps_their_controls_and_steering(demo: dict[str, Any]) -> None:
    study = load_study(demo, ROOT)
    arms = node_params.harm_arms(study, "smollm2_135m")
    kinds = {arm["contrast"] for arm in arms}
    assert kinds == {
        "axis", "random0", "wrong_sign", "single_layer", "steering", "steering_random0",
    }  # fmt: skip
    assert {arm["reading"] for arm in arms if arm["contrast"] == "axis"} == {"ceiling", "floor"}
    assert {arm["reading"] for arm in arms if arm["contrast"] == "wrong_sign"} == {"ceiling"}
    single = {arm["band"] for arm in arms if arm["contrast"] == "single_layer"}
    assert all(len(set(band.split("-"))) == 1 for band in single)
    record = node_params.harm_record(study, "smollm2_135m")
    assert record is not None
    assert len({probe["category"] for probe in record["probes"]}) == len(record["probes"]) == 6


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"personas": ["cynical_deamon"]}, "harm.personas[0]: no persona jailbreak"),
        ({"probes": 999}, "harm.probes: 999 is too many, there are 64"),
        ({"percentiles": [33]}, "harm.percentiles: 33.0 is not calibrated"),
        ({"random_directions": 5}, "harm.random_directions: 5 is too many"),
    ],
)
def test_a_wrong_setting_of_harm_is_one_line(
    demo: dict[str, Any], changes: dict[str, Any], said: str
) -> None:
    demo["harm"] |= changes
    with pytest.raises(ConfigError) as refused:
        load_study(demo, ROOT)
    assert [said in problem for problem in refused.value.problems] == [True]


def test_the_wrong_sign_needs_both_readings(demo: dict[str, Any]) -> None:
    demo["capping"]["readings"] = ["ceiling"]
    demo["harm"] |= {"readings": None}
    with pytest.raises(ConfigError, match=r"harm.wrong_sign: needs both readings"):
        load_study(demo, ROOT)
    demo["harm"]["wrong_sign"] = False
    assert load_study(demo, ROOT)


def test_case_studies_have_the_first_turns_and_one_cap(demo: dict[str, Any]) -> None:
    study = load_study(demo, ROOT)
    record = node_params.case_record(study, "smollm2_135m")
    assert record is not None
    assert {len(talk["turns"]) for talk in record["conversations"]} == {4}
    assert record["cap"]["band"] == str(study.bands("smollm2_135m")[0])
    demo["cases"] |= {"conversations": "all", "turns": None}
    record = node_params.case_record(load_study(demo, ROOT), "smollm2_135m")
    assert record is not None
    assert len(record["conversations"]) == len(study.library.case_studies) >= 20


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"conversations": ["delusion_signal"]}, "cases.conversations[0]: no case study"),
        ({"cap": {"percentile": 33}}, "cases.cap.percentile: 33.0 is not calibrated"),
        ({"cap": {"band": 9}}, "cases.cap.band: 9 is out of range"),
    ],
)
def test_a_wrong_setting_of_case_studies_is_one_line(
    demo: dict[str, Any], changes: dict[str, Any], said: str
) -> None:
    demo["cases"] |= changes
    with pytest.raises(ConfigError) as refused:
        load_study(demo, ROOT)
    assert [said in problem for problem in refused.value.problems] == [True]


def test_first_turns_of_the_harm_link_are_counted_as_they_are_asked(demo: dict[str, Any]) -> None:
    demo["harm_link"] |= {"roles": ["pirate", "cat"], "prompts": 2, "questions": 3, "probes": 5}
    study = load_study(demo, ROOT)
    record = node_params.harm_link(study)
    assert record is not None
    assert record["roles"] == ["pirate", "cat", "default"]
    assert len({probe["category"] for probe in record["probes"]}) == 5
    count = WorkCounter(study, "smollm2_135m", load_rates(ROOT / "config/rates.yaml"))
    asked = count.harm_link({})
    assert asked.number == 3 * 2 * 3 * 5
    assert asked.prompt > count.role({"role": "pirate"}).response
    demo["harm"] = demo["cases"] = None
    assert "harm" in node_params.measuring(load_study(demo, ROOT))["kinds"]
    demo["harm_link"] = None
    without = load_study(demo, ROOT)
    assert node_params.harm_link(without) is None
    assert "harm" not in node_params.measuring(without)["kinds"]
    assert not list(nodes(STAGES["answer_in_roles"], without, "smollm2_135m"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"roles": ["bishop"]}, "harm_link.roles[0]: no role 'bishop' in the study"),
        ({"prompts": 6}, "harm_link.prompts: 6 is too many"),
        ({"questions": 4}, "harm_link.questions: 4 is too many, there are 3"),
        ({"probes": 1000}, "harm_link.probes: 1000 is too many"),
    ],
)
def test_a_wrong_setting_of_the_harm_link_is_one_line(
    demo: dict[str, Any], changes: dict[str, Any], said: str
) -> None:
    demo["harm_link"] |= changes
    with pytest.raises(ConfigError) as refused:
        load_study(demo, ROOT)
    assert len(refused.value.problems) == 1
    assert said in refused.value.problems[0]


def test_all_layers_are_those_of_the_model(demo: dict[str, Any]) -> None:
    demo["layer_sweep"]["layers"] = "all"
    assert load_study(demo, ROOT).candidate_layers("smollm2_135m") == list(range(30))
    demo["layer_sweep"]["layers"] = "every"
    with pytest.raises(ConfigError, match=r"layer_sweep\.layers"):
        load_study(demo, ROOT)


def test_a_trait_that_is_only_described_is_drafted_first(demo: dict[str, Any]) -> None:
    demo["traits"] |= {"described": {"sunny": "Expects the best.", "poetic": "Not used."}}
    with pytest.raises(ConfigError) as refused:
        load_study(demo, ROOT)
    assert refused.value.problems == [
        "config: traits.described.sunny: has no file in config/traits; name an endpoint in "
        "assignments.artifact_writer that drafts it, or write the file"
    ]
    demo["endpoints"] = {"scribe": {"base_url": "http://127.0.0.1:1/v1", "model": "m"}}
    demo["assignments"] = {"artifact_writer": "scribe"}
    study = load_study(demo, ROOT)
    assert study.undrafted == ["sunny"]
    assert study.trait_names == ["poetic", "pirate_speech", "formal", "sycophantic"]
    assert study.endpoint_names == ["scribe"]
    assert list(nodes(STAGES["draft_trait"], study, "smollm2_135m")) == [{"drafted": "sunny"}]
    demo["traits"]["described"] = {"frugal": "Spends little."}
    with pytest.raises(ConfigError, match=r"traits\.described\.frugal: is in the trait space"):
        load_study(demo, ROOT)
