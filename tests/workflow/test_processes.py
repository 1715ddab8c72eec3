"""No process outlives the Snakemake that started it, however that one ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.signals import reset_signals

from .conftest import MINI, Project, copy_linked

PATIENCE = 90.0


def processes_of(root: Path) -> list[int]:
    """Processes that work in a folder, this one apart."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and Path(os.readlink(entry / "cwd")) == root:
                found.append(int(entry.name))
        except OSError:  # it ended meanwhile, or belongs to another user
            continue
    return [pid for pid in found if pid != os.getpid()]


def servers_of(root: Path) -> list[int]:
    """Model servers that work in a folder."""
    return [
        pid
        for pid in processes_of(root)
        if b"personae.inference.server" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Wait for something that must become true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{what} within {PATIENCE:g} s"
        time.sleep(0.1)


@pytest.fixture
def target(project: Project, tmp_path: Path) -> Iterator[str]:
    """One role's responses, which the test makes again; everything is put back afterwards."""
    name = "results/mini/smollm2_135m/roles/pirate/responses.parquet"
    kept = [(project.root / part, tmp_path / part) for part in ("results", ".snakemake")]
    for original, copy in kept:
        copy_linked(original, copy)
    yield name
    for original, copy in kept:
        shutil.rmtree(original)
        copy.rename(original)


def test_nothing_is_left_after_a_run_that_succeeded(project: Project) -> None:
    wait_until(lambda: not processes_of(project.root), "no process left")


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_nothing_is_left_when_snakemake_is_stopped(
    project: Project, target: str, ending: signal.Signals
) -> None:
    command, environment = project.command(
        "--cores", "2", "--configfile", MINI, "--forcerun", "generate_role_responses", "--", target
    )
    running = subprocess.Popen(
        command,
        cwd=project.root,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=reset_signals,
    )
    try:
        wait_until(lambda: servers_of(project.root), "a server started")
        running.send_signal(ending)
        assert running.wait(timeout=PATIENCE) != 0
        wait_until(lambda: not processes_of(project.root), "no process left")
    finally:
        if running.poll() is None:
            running.kill()
