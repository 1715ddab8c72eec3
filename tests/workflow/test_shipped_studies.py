"""The other shipped studies: all their jobs are planned, at the papers' sizes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from personae.base.strict_yaml import read_yaml
from personae.workflow import node_params
from personae.workflow.config import Study, load_study

ROOT = Path(__file__).resolve().parents[2]

ROLES, SPACE, TRAITS = 275, 240, 7
SMALL = {
    "generate_role_responses": ROLES + 1,
    "judge_role_responses": ROLES,
    "generate_trait_responses": 2 * (TRAITS + SPACE),
    "compute_trait_vectors": TRAITS,
    "steer_trait": TRAITS,
    "cap_responses": 1,
    "prepare_model": 2,
    "write_library_card": 1,
    "simulate_conversations": 0,
    "write_report": 1,
}


def planned(name: str, tmp_path: Path) -> Counter[str]:
    """Return the number of jobs of every rule in a dry run from nothing."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    arguments = ["--snakefile", str(ROOT / "Snakefile"), "--configfile", f"config/{name}.yaml"]
    for folder in ("config", "rules", "scripts"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments, "--dry-run", "--quiet", "rules"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, re.MULTILINE)
    return Counter({rule: int(jobs) for rule, jobs in lines})


def test_the_small_study_plans_the_jobs_that_it_should(tmp_path: Path) -> None:
    jobs = planned("small", tmp_path)
    assert {rule: jobs[rule] for rule in SMALL} == SMALL


@pytest.fixture(scope="module")
def paper() -> Study:
    """The paper study."""
    source = "config/paper.yaml"
    return load_study(read_yaml(ROOT / source), ROOT, [source])


def test_the_paper_study_has_the_papers_numbers(paper: Study) -> None:
    role = node_params.role_rollouts(paper, "qwen3_32b", "pirate")
    assert len(role["prompts"]) * len(role["questions"]["extraction"]) * role["samples"] == 1200
    space = node_params.trait_rollouts(paper, paper.space_names[0], "positive")
    assert 2 * len(space["instructions"]) * len(space["questions"]) * space["samples"] == 2400
    evil = node_params.trait_rollouts(paper, "evil", "positive")
    assert (len(evil["instructions"]), len(evil["questions"]), evil["samples"]) == (5, 20, 10)
    assert [paper.models[m].middle_layer for m in paper.model_names[:3]] == [22, 32, 40]
    bands = {m: [str(band) for band in paper.bands(m)] for m in ("qwen3_32b", "llama33_70b")}
    assert bands == {"qwen3_32b": ["46-53"], "llama33_70b": ["56-71"]}
    assert paper.config.capping.percentiles == [1, 25, 50, 75]
    monitored = node_params.monitoring(paper, "evil")
    assert monitored["shots"] == [0, 5, 10, 15, 20]
    assert (len(monitored["prompts"]), len(monitored["examples"])) == (8, 20)
    seven = {"evil", "sycophantic", "hallucinating", "optimistic", "impolite", "apathetic"}
    assert seven | {"humorous"} <= set(paper.trait_names)
    assert paper.config.endpoints[paper.config.judging.primary].model == "gpt-4.1-mini"


def test_the_paper_study_simulates_the_papers_conversations(paper: Study) -> None:
    record = node_params.simulation(paper)
    assert record is not None
    talks = Counter(user["domain"] for user in record["users"] for _ in user["topics"])
    assert talks == dict.fromkeys(("coding", "writing", "therapy", "philosophy"), 5 * 20)
    assert paper.simulated is not None
    assert (record["turns"], paper.simulated.min_samples) == (15, 10)
    assert "api_key" not in str(record)
    assert "OPENROUTER" not in str(record)


def test_every_number_of_the_paper_study_cites_its_source() -> None:
    source = re.compile(r"#.*\b(AA|PV|ours)\b", re.IGNORECASE)
    kept = ("models:", "embedder:", "primary:", "study:", "title:", "transcripts:", "base_url:")
    for line in (ROOT / "config/paper.yaml").read_text(encoding="utf-8").splitlines():
        key, colon, value = line.strip().partition(":")
        if line.strip().startswith("#") or not colon or f"{key}:" in kept:
            continue
        if re.search(r"\d", value.split("#")[0]):
            assert source.search(line), line


def test_roles_and_traits_are_taken_from_every_category(paper: Study) -> None:
    library = paper.library
    categories = {role.category for role in library.roles.values()}
    chosen = Counter(role.category for role in paper.roles.values())
    assert set(chosen) == categories
    assert sum(chosen.values()) == ROLES
    assert {library.trait_space[name].category for name in paper.space_names} == {
        trait.category for trait in library.trait_space.values()
    }
