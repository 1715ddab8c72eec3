"""The full replication is planned: five models, 275 roles, 252 traits, by dry run."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys

import pytest

from .conftest import Project

# AA: 275 roles and the default Assistant, 240 traits of the trait space; ours: 12 traits with
# questions of their own, PV's seven among them. A trait has two polarities.
ROLES, SPACE, TRAITS, MODELS = 275, 240, 12, 5
PLANNED = {
    "generate_role_responses": ROLES + 1,
    "judge_role_responses": ROLES,
    "extract_role_activations": 0,  # the study keeps what it needs
    "compute_role_vectors": ROLES + 1,
    "project_role_responses": 35,  # 276 roles in parts of about 8
    "compute_space_vectors": 58,  # 240 traits in parts of about 4
    "generate_trait_responses": 2 * (TRAITS + SPACE),
    "judge_trait_responses": 2 * (TRAITS + SPACE),
    "extract_trait_activations": 0,
    "compute_trait_vectors": TRAITS,
    "sweep_trait_layers": TRAITS,
    "steer_trait": TRAITS,
    "compute_axis": 1,
    "cap_responses": 1,
    "simulate_conversations": 1,
    "calibrate_judges": 1,
}
"""Jobs of every model."""


def plan(project: Project, *arguments: str) -> tuple[str, float]:
    """Return what a dry run says, and its memory in GB."""
    command = [sys.executable, "-m", "snakemake", *arguments, "--profile", "slurm", "--dry-run"]
    command += ["--configfile", "config/paper.yaml", "--quiet", "rules"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PERSONAE")}
    environment["PYTHONPATH"] = str(project.root / "scripts")
    done = subprocess.run(
        command, cwd=project.root, env=environment, capture_output=True, text=True, timeout=500
    )
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout + done.stderr, memory


def jobs(text: str, rule: str = "total") -> int:
    """Return how many jobs of a rule the dry run counts."""
    found = re.search(rf"^{rule} +(\d+)$", text, re.M)
    return int(found[1]) if found else 0


def check_plan(fresh: Project, models: int, *arguments: str) -> None:
    """Assert the number of jobs of a dry run for so many models, and its memory."""
    text, gigabytes = plan(fresh, *arguments)
    assert {rule: jobs(text, rule) for rule in PLANNED} == {
        rule: models * count for rule, count in PLANNED.items()
    }
    assert jobs(text, "prepare_model") == models + 1
    assert jobs(text, "write_library_card") == jobs(text, "write_report") == 1
    assert gigabytes < 4


@pytest.mark.full_size
def test_the_full_study_is_planned(fresh: Project) -> None:
    check_plan(fresh, MODELS)


def test_one_model_of_the_full_study_is_planned(fresh: Project) -> None:
    check_plan(fresh, 1, "--config", "models=[qwen3_32b]")


def test_every_model_plans_the_same_jobs(fresh: Project) -> None:
    """The study of all models, with fewer personas."""
    fewer = ("roles={count: 5}", "trait_space={count: 4}", "traits={names: [evil]}")
    text, _ = plan(fresh, "--config", *fewer, "capping={roles: all}", "finetuning={traits: none}")
    assert jobs(text, "prepare_model") == MODELS + 1
    assert jobs(text, "generate_role_responses") == MODELS * 6
    assert jobs(text, "generate_trait_responses") == MODELS * 2 * 5
    assert jobs(text, "cap_responses") == jobs(text, "compute_axis") == MODELS
    assert jobs(text, "write_report") == 1


def test_one_arm_of_one_model_plans_its_own_jobs_alone(fresh: Project) -> None:
    text, _ = plan(fresh, "roles", "--config", "models=[qwen3_32b]")
    assert jobs(text, "calibrate_judges") == 1
    assert jobs(text, "generate_role_responses") == ROLES + 1
    assert jobs(text, "generate_trait_responses") == jobs(text, "write_report") == 0


def test_one_arm_of_all_models_plans_its_own_jobs_alone(fresh: Project) -> None:
    text, _ = plan(fresh, "judging")
    assert jobs(text, "calibrate_judges") == MODELS
    assert jobs(text, "generate_role_responses") == jobs(text, "write_report") == 0


def test_a_batch_takes_a_share_of_the_personas(fresh: Project) -> None:
    text, _ = plan(fresh, "roles", "--config", "models=[qwen3_32b]", "--batch", "roles=1/4")
    count = jobs(text, "generate_role_responses")
    assert count == jobs(text, "compute_role_vectors")
    assert (ROLES + 1) // 4 <= count <= (ROLES + 1) // 4 + 1
