"""The profile on a healthy cluster: one load per allocation, a GPU each, the site's settings."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from .cluster import GPUS
from .conftest import ROLES, Project


def test_a_group_loads_its_model_once_and_a_second_run_does_nothing(project: Project) -> None:
    targets = [*project.targets(), "results/tiny/tiny/roles/default/vectors.parquet"]
    assert project.run(*targets) == 0, project.said[-4000:]
    project.assert_complete()
    assert len({one.job for one in project.computed}) == 1
    assert len({one.server for one in project.computed}) == 1
    # The table of vectors was a separate job, on a CPU.
    assert len(set(re.findall(r"submitted with SLURM jobid (\d+)", project.said))) == 2
    assert not (project.root / "results/tiny/.finished").exists()  # a run that ended well tidies up
    assert project.run(*targets) == 0
    assert "Nothing to be done" in project.said


def test_four_groups_side_by_side_have_a_gpu_and_a_server_each(project: Project) -> None:
    if not project.cluster.own:
        pytest.skip("needs four GPUs")
    for role in ROLES:  # long enough that no group is done before the last has begun
        project.strike(f"{role}-responses", "sleep 25")
    assert project.run(*project.targets(), PERSONAE_SLURM_GROUP="1") == 0, project.said[-4000:]
    project.assert_complete()
    generated = [one for one in project.computed if one.node.endswith("responses")]
    assert max(one.start for one in generated) < min(one.end for one in generated)
    assert len({one.job for one in generated}) == GPUS
    assert {one.gpu for one in generated} == {f"gpu{number}" for number in range(GPUS)}
    assert len({one.server for one in generated}) == GPUS
    for job in {one.job for one in project.computed}:
        assert len({one.server for one in project.computed if one.job == job}) == 1


def test_what_a_site_sets_reaches_the_jobs(project: Project) -> None:
    status = project.run(
        *project.targets("pirate", table="vectors"),
        "--dry-run",
        PERSONAE_SLURM_PARTITION="large",
        PERSONAE_SLURM_CPU_PARTITION="small",
        PERSONAE_SLURM_QOS="urgent",
        PERSONAE_SLURM_CONSTRAINT="a100",
        PERSONAE_SLURM_EXTRA="--comment=mine",
        PERSONAE_SLURM_GRES="gpu:a100:{gpus}",
    )
    assert status == 0, project.said[-4000:]
    blocks = re.split(r"\n(?= *(?:local)?rule )", project.said)
    asked = {block.split(":")[0].split()[-1]: block for block in blocks}
    gpus = "gpu:a100:1" if project.cluster.own else ""
    partition = "large" if gpus else "small"
    generate, table = asked["generate_role_responses"], asked["compute_role_vectors"]
    assert f"slurm_partition={partition}" in generate
    assert f"gres={gpus}" in generate
    assert "slurm_partition=small" in table
    assert "gres=" not in table
    for words in ("qos=urgent", "constraint=a100", "slurm_extra=--comment=mine"):
        assert words in generate
        assert words in table


def test_states_are_asked_for_where_they_are_known(project: Project) -> None:
    """Without accounting sacct always fails: squeue is chosen, and polled before it drops jobs."""
    code = (
        "from personae.workflow.cluster import site_settings as site;"
        "print(site.status_command(), site.poll_seconds())"
    )
    environment = project.environment(PERSONAE_SLURM_POLL_SECONDS="900")
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    command, seconds = done.stdout.split()
    storage = project.cluster.run("scontrol", "show", "config")
    if "accounting_storage/none" in storage:
        assert (command, int(seconds)) == ("squeue", 100)  # a third of MinJobAge
    else:
        assert command in ("sacct", "squeue")
