"""Failures on a cluster: outputs are correct in the end, and nothing finished is lost."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

from .cluster import wait_until
from .conftest import ROLES, Project

PIRATE = ("pirate-responses", "pirate-activations")


def test_a_failing_persona_is_retried_and_its_siblings_are_restored(project: Project) -> None:
    project.strike("pirate-activations", "fail")
    assert project.run(*project.targets()) == 0, project.said[-4000:]
    assert project.is_struck("pirate-activations")
    project.assert_complete()
    assert len({one.job for one in project.computed}) == 2
    # Each of the two allocations loaded the model once.
    assert len({one.server for one in project.computed}) == 2
    log = project.root / "results/tiny/tiny/logs/generate_role_responses/wizard.log"
    assert "restored the outputs of an earlier attempt" in log.read_text()


def test_a_persona_that_always_fails_costs_the_others_nothing(project: Project) -> None:
    project.strike("pirate-activations", "always fail")
    targets = project.targets()
    assert project.run(*targets, "--retries", "0") == 1
    nodes = {f"{role}-{table}" for role in ROLES for table in ("responses", "activations")}
    assert set(project.times_computed()) == nodes - {"pirate-activations"}
    # What a user sees is one line: the rule, the reason and the log.
    logs = [path.read_text() for path in (project.root / ".snakemake/slurm_logs").rglob("*.log")]
    assert any("struck by the test (log: results/tiny" in text for text in logs)
    (project.root / "faults" / "pirate-activations").unlink()
    assert project.run(*targets) == 0, project.said[-4000:]
    project.assert_complete()


def test_memory_grows_until_the_job_fits(project: Project) -> None:
    project.strike("pirate-responses", "always eat 2500")
    status = project.run(
        *project.targets("pirate", table="responses"),
        "--set-resources",
        "generate_role_responses:mem_mb=2500*attempt",
    )
    assert status == 0, project.said[-4000:]
    attempts = (project.root / "struck").read_text().split()[1::2]
    assert len(set(attempts)) > 1, "the first attempt had memory enough"
    assert project.times_computed() == {"pirate-responses": 1}


def test_a_job_that_runs_out_of_time_gets_more(project: Project) -> None:
    project.strike("pirate-responses", "sleep 150")
    status = project.run(
        *project.targets("pirate", table="responses"),
        "--set-resources",
        "generate_role_responses:runtime=attempt",
        seconds=280,
    )
    assert status == 0, project.said[-4000:]
    # Slurm cut the first attempt short; the second, with twice the time, was spared the sleep.
    assert len(re.findall("submitted with SLURM jobid", project.said)) == 2
    assert project.times_computed() == {"pirate-responses": 1}


def test_a_cancelled_group_is_taken_up_where_it_was(project: Project) -> None:
    project.strike("librarian-activations", "sleep 300")
    process = project.start(*project.targets())
    project.await_node("librarian-activations")
    (job,) = project.cluster.jobs()
    project.cluster.run("scancel", job)
    assert process.wait(timeout=120) == 0, project.said[-4000:]
    project.assert_complete()
    assert not [path for path in (project.root / "tmp").rglob("*.sock") if is_served(path)]


def test_a_node_that_goes_down_and_comes_back(project: Project) -> None:
    if not project.cluster.own:
        return  # a node of another cluster stays up
    project.strike("librarian-activations", "sleep 300")
    process = project.start(*project.targets())
    project.await_node("librarian-activations")
    host = project.cluster.run("sinfo", "-h", "-o", "%n").split()[0]
    update = ("scontrol", "update", f"nodename={host}")
    project.cluster.run(*update, "state=down", "reason=test")
    time.sleep(3)
    project.cluster.run(*update, "state=resume")
    assert process.wait(timeout=240) == 0, project.said[-4000:]
    project.assert_complete()


def test_a_killed_server_costs_the_node_it_served(project: Project) -> None:
    project.strike("wizard-responses", "kill server")
    assert project.run(*project.targets()) == 0, project.said[-4000:]
    assert project.is_struck("wizard-responses")
    project.assert_complete(twice=("wizard-responses",))


def test_ctrl_c_empties_the_queue(project: Project) -> None:
    project.strike("pirate-responses", "sleep 300")
    process = project.start(*project.targets())
    project.await_node("pirate-responses")
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) != 0
    project.assert_queue_empty()
    assert project.run(*project.targets()) == 0, project.said[-4000:]
    project.assert_complete()


def test_a_killed_head_is_started_again_as_if_nothing_was(project: Project) -> None:
    project.strike("librarian-activations", "sleep 300")
    process = project.start(*project.targets())
    project.await_node("librarian-activations")
    left = project.cluster.jobs()
    assert left
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=20)
    assert project.run(*project.targets()) == 0, project.said[-4000:]
    assert f"cancelling 1 jobs of a Snakemake that was killed: {left[0]}" in project.said
    project.assert_complete()
    project.assert_queue_empty()


def test_a_second_snakemake_refuses_in_one_line(project: Project) -> None:
    project.strike("pirate-responses", "sleep 25")
    first = project.start(*project.targets())
    project.await_node("pirate-responses")
    before = project.cluster.jobs()
    assert project.run(*project.targets()) == 1
    found = re.search(r"^results is in use by Snakemake process (\d+) on ", project.said, re.M)
    assert found
    assert int(found.group(1)) == first.pid
    assert project.cluster.jobs() == before
    assert first.wait(timeout=120) == 0, project.said[-4000:]
    project.assert_complete()


def is_served(path: Path) -> bool:
    """Whether a server still listens after the two seconds in which it notices its owner's end."""
    from personae.inference.client.server_directory import is_listening

    return not wait_until(lambda: not is_listening(path), 3)
