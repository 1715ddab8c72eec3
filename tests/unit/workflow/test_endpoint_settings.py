"""Endpoints in a study: what is refused before any job, and what a node depends on."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from personae.endpoints.keys import find_key, scrub
from personae.endpoints.runtime import Runtime
from personae.workflow import node_params
from personae.workflow.config import check_ready, load_study
from tests.unit.conftest import ROOT, Problems

ENDPOINT = {"base_url": "https://example.org/v1", "model": "m", "key_variable": "SOME_TEST_KEY"}


@pytest.fixture
def judged(demo: dict[str, Any]) -> dict[str, Any]:
    """Return the demo, judged by an endpoint."""
    demo["endpoints"] = {"gpt": dict(ENDPOINT)}
    demo["judging"] = {"primary": "gpt", "second": "embedding"}
    return demo


@pytest.mark.parametrize(
    ("section", "value", "words"),
    [
        ("judging", {"primary": "gtp"}, ["judging.primary", "'gtp'", "did you mean 'gpt'"]),
        ("judging", {"second": "gpd"}, ["judging.second", "'gpd'", "did you mean 'gpt'"]),
        ("judging", {"sampled": [{"judge": "x", "share": 0.5}]}, ["sampled[0].judge", "'x'"]),
        ("judging", {"primary": "gpt", "second": "gpt"}, ["second", "is the primary judge"]),
        ("judging", {"sampled": [{"judge": "likelihood", "share": 1.0}]}, ["judges already"]),
        ("judging", {"primary": "gpt", "max_cost": 5.0}, ["endpoints.gpt", "price_in", "max_cost"]),
        ("judging", {"templates": {"trait": "no/{target}.json"}}, ["no/poetic.json", "no such"]),
        ("judging", {"templates": {"traits": "x"}}, ["templates.traits", "no rubric"]),
        ("assignments", {"auditor": "claude"}, ["assignments.auditor", "no endpoint 'claude'"]),
        ("assignments", {"generators": {"llama": "gpt"}}, ["generators.llama", "no model"]),
        ("endpoints", {"embedding": ENDPOINT}, ["endpoints.embedding", "offline judge"]),
        ("endpoints", {"gpt": {**ENDPOINT, "modell": 1}}, ["unknown key 'modell'", "'model'"]),
    ],
)  # fmt: skip
def test_what_cannot_run_is_named_before_any_job(
    demo: dict[str, Any], problems: Problems, section: str, value: Any, words: list[str]
) -> None:
    demo["endpoints"] = {"gpt": dict(ENDPOINT)}
    demo[section] = value
    found = " ".join(problems(demo))
    assert all(word in found for word in words), found


@pytest.mark.parametrize(
    ("simulated", "auditor", "words"),
    [
        ({"domains": ["therapi"]}, "gpt", ["domains[0]", "'therapi'", "did you mean 'therapy'"]),
        ({"domains": "all", "personas": 6}, "gpt", ["simulated.personas: 6 is too many", "has 5"]),
        ({"domains": "all", "topics": 21}, "gpt", ["simulated.topics: 21 is too many", "has 20"]),
        ({"domains": "all", "personas": 1, "topics": 3}, "gpt", ["min_samples: 10", "are 3"]),
        ({"domains": "all", "turn": 3}, "gpt", ["unknown key 'turn'", "'turns'"]),
    ],
)
def test_simulated_conversations_that_cannot_be_are_named(
    demo: dict[str, Any],
    problems: Problems,
    simulated: dict[str, Any],
    auditor: str | None,
    words: list[str],
) -> None:
    demo["endpoints"] = {"gpt": dict(ENDPOINT)}
    demo["assignments"] = {"auditor": auditor}
    demo["drift"]["simulated"] = simulated
    found = " ".join(problems(demo))
    assert all(word in found for word in words), found


@pytest.mark.parametrize("simulated", [None, {}, {"domains": "none"}])
def test_no_conversations_are_simulated_unless_asked_for(
    demo: dict[str, Any], simulated: dict[str, Any] | None
) -> None:
    demo["drift"]["simulated"] = simulated
    study = load_study(demo, ROOT)
    assert study.simulated is None
    assert node_params.simulation(study) is None


def test_a_broken_prompt_of_the_auditor_is_named_with_its_file(
    demo: dict[str, Any], project: Path, problems: Problems
) -> None:
    path = project / "config/conversations/auditor.yaml"
    path.write_text(path.read_text().replace("{topic}", "it"))
    demo["drift"]["simulated"] = None
    load_study(demo, project)
    demo["endpoints"], demo["assignments"] = {"gpt": dict(ENDPOINT)}, {"auditor": "gpt"}
    demo["drift"]["simulated"] = {"domains": "all"}
    (line,) = problems(demo, project)
    assert line.endswith("config/conversations/auditor.yaml: system: {topic} is missing; add it")


def test_a_missing_key_is_found_before_any_job(
    judged: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SOME_TEST_KEY", raising=False)
    shutil.copytree(ROOT / "config", tmp_path / "config")
    study = load_study(judged, tmp_path)
    (line,) = [line for line in check_ready(study) if "endpoints" in line]
    assert line.startswith("endpoints.gpt.key_variable: SOME_TEST_KEY is not set")
    (tmp_path / ".env").write_text("# keys\nexport SOME_TEST_KEY='from-file-123'\n")
    assert not [line for line in check_ready(study) if "endpoints" in line]
    assert find_key("SOME_TEST_KEY", tmp_path) == "from-file-123"
    monkeypatch.setenv("SOME_TEST_KEY", "from-environment-456")
    assert find_key("SOME_TEST_KEY", tmp_path) == "from-environment-456"
    assert scrub("a from-file-123 b from-environment-456") == "a [key] b [key]"


def test_endpoints_that_nothing_uses_need_no_key(judged: dict[str, Any]) -> None:
    judged["judging"] = {}
    judged["drift"]["simulated"] = None
    assert load_study(judged, ROOT).endpoint_names == []
    judged["assignments"] = {"auditor": "gpt", "artifact_writer": "gpt"}
    assert load_study(judged, ROOT).endpoint_names == []
    judged["drift"]["simulated"] = {"domains": ["therapy"]}
    assert load_study(judged, ROOT).endpoint_names == ["gpt"]


def record(study: dict[str, Any]) -> dict[str, Any]:
    """Return what a trait's judging depends on."""
    return node_params.judging(load_study(study, ROOT), {"trait": ["poetic"], "coherence": [""]})


def test_a_limit_or_a_key_is_no_part_of_a_node_and_a_model_is(judged: dict[str, Any]) -> None:
    before = record(judged)
    judged["endpoints"]["gpt"] |= {"concurrency": 99, "timeout": 1.0, "key_variable": "OTHER"}
    judged["judging"] |= {"max_requests": 5, "max_unscored": 0.9, "answers": "elsewhere"}
    assert record(judged) == before
    judged["endpoints"]["gpt"]["model"] = "another"
    assert record(judged) != before
    assert set(before["rubric_templates"]) == {"trait", "coherence"}


def test_an_edited_rubric_reruns_no_offline_judging(demo: dict[str, Any], project: Path) -> None:
    path = project / "config/judging/rubrics/trait.yaml"
    before = node_params.judging(load_study(demo, project), {"trait": ["poetic"]})
    from personae.judging.rubrics import load_rubric_templates

    load_rubric_templates.cache_clear()
    path.write_text(path.read_text().replace("strongly as it can", "strongly as can be"))
    assert node_params.judging(load_study(demo, project), {"trait": ["poetic"]}) == before
    demo["endpoints"] = {"gpt": dict(ENDPOINT)}
    demo["judging"] = {"primary": "gpt"}
    edited = node_params.judging(load_study(demo, project), {"trait": ["poetic"]})
    assert "strongly as can be" in edited["rubric_templates"]["trait"]["text"]


def test_templates_are_taken_by_target(judged: dict[str, Any], project: Path) -> None:
    for trait in judged["traits"]["names"]:
        (project / f"{trait}.txt").write_text(f"{trait}: {{question}} {{answer}}")
    judged["judging"]["templates"] = {"trait": "{target}.txt"}
    study = load_study(judged, project)
    found = node_params.judging(study, {"trait": ["poetic"], "coherence": [""]})["templates"]
    assert found == {"trait": {"poetic": "poetic: {question} {answer}"}}


def test_a_run_knows_its_endpoints(judged: dict[str, Any]) -> None:
    judged["judging"] |= {"max_requests": 5, "max_unscored": 0.3}
    runtime = Runtime.of(judged)
    assert runtime.endpoint("gpt").model == "m"
    assert (runtime.budget.requests, runtime.max_unscored) == (5, 0.3)


def test_the_generator_is_part_of_its_models_rollouts_alone(judged: dict[str, Any]) -> None:
    judged["assignments"] = {"generators": {"smollm2_135m": "gpt"}}
    found = node_params.generator(load_study(judged, ROOT), "smollm2_135m")
    assert found == {"endpoint": "gpt", "base_url": ENDPOINT["base_url"], "model": "m",
                     "extra_body": {}}  # fmt: skip
    assert node_params.generator(load_study(judged, ROOT), "gemma2_27b") is None
