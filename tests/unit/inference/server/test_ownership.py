"""The owner of servers: the current workflow, not a finished one or one on another machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from personae.base.errors import PersonaeError
from personae.base.process_identity import ProcessIdentity, neighbourhood
from personae.base.workflow_owner import VARIABLE, current_owner
from personae.inference.client import claim_ownership


@pytest.fixture(autouse=True)
def _unowned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)


def ended_owner() -> ProcessIdentity:
    """Return an owner whose process has ended."""
    with subprocess.Popen(["sleep", "60"]) as process:
        found = ProcessIdentity.of(process.pid)
        process.kill()
    assert found is not None
    return found


def test_the_first_claim_names_this_process() -> None:
    owner = claim_ownership()
    assert (owner.pid, owner.is_near, owner.is_running) == (os.getpid(), True, True)
    assert os.environ[VARIABLE] == str(owner)
    assert ProcessIdentity.parse(str(owner)) == owner == current_owner()


def test_a_living_owner_above_is_kept() -> None:
    parent = ProcessIdentity.of(os.getppid())
    os.environ[VARIABLE] = str(parent)
    assert claim_ownership() == parent


def test_an_ended_owner_is_replaced_by_a_workflow_and_refused_by_a_node() -> None:
    os.environ[VARIABLE] = str(ended_owner())
    with pytest.raises(PersonaeError, match=r"workflow that started this node .* has ended"):
        current_owner()
    claimed = claim_ownership()
    assert claimed.pid == os.getpid()


def test_a_later_process_with_the_same_pid_is_another_process() -> None:
    here = ProcessIdentity.here()
    assert here.is_running
    assert not here._replace(started=here.started - 60.0).is_running


@pytest.mark.parametrize("place", ["otherhost:", f"{neighbourhood()[0]}:77"])
def test_an_owner_elsewhere_counts_for_nothing_here(place: str) -> None:
    os.environ[VARIABLE] = f"{place}:1:1"
    assert current_owner() is None
    claimed = claim_ownership()
    assert claimed.pid == os.getpid()


def test_a_slurm_job_claims_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    head = claim_ownership()
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    job = claim_ownership()
    assert job.job == "77"
    assert job != head


_NODE = """
import time
from personae.base.workflow_owner import ending_with_owner

with ending_with_owner(lambda line: print(line, flush=True)):
    print("working", flush=True)
    time.sleep(60)
"""


def test_a_node_that_nobody_else_watches_ends_with_its_workflow() -> None:
    workflow = subprocess.Popen(["sleep", "60"])
    environment = {**os.environ, VARIABLE: str(ProcessIdentity.of(workflow.pid))}
    command = [sys.executable, "-c", _NODE]
    node = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert node.stdout is not None
    assert node.stdout.readline() == "working\n"
    workflow.kill()
    workflow.wait()
    said, _ = node.communicate(timeout=20)
    assert node.returncode == -signal.SIGTERM
    assert f"(process {workflow.pid}) has ended" in said


def test_nonsense_is_named() -> None:
    os.environ[VARIABLE] = "me"
    with pytest.raises(PersonaeError, match="PERSONAE_OWNER='me'"):
        claim_ownership()


def test_a_zombie_has_ended() -> None:
    with subprocess.Popen(["true"]) as process:
        deadline = time.monotonic() + 10
        while ProcessIdentity.of(process.pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert ProcessIdentity.of(process.pid) is None
        assert process.returncode is None, "no parent has waited for it yet"
