"""One head process, whose lock ends with it."""

from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from personae.base.atomic_files import WriteError
from personae.workflow.cluster.head_process import (
    HeadError,
    cancel_leftovers,
    claim_results,
    require_writable,
)

HOLD = (
    "import sys, time; from pathlib import Path;"
    "from personae.workflow.cluster.head_process import claim_results; "
    "claim_results(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
)


def test_a_second_head_is_refused_and_a_killed_one_leaves_nothing(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        with pytest.raises(HeadError) as caught:
            claim_results(tmp_path)
        assert f"in use by Snakemake process {first.pid} on " in str(caught.value)
        assert "\n" not in str(caught.value)
        os.kill(first.pid, signal.SIGKILL)
    claim_results(tmp_path)


def test_only_jobs_of_this_folder_are_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = tmp_path / "queue"
    queue.write_text("11 personae-aaaa_1\n12 personae-bbbb_1\n13 other\n")
    squeue = f"#!/bin/sh\n/bin/cat {queue}\n"
    scancel = f'#!/bin/sh\nfor id; do /bin/sed -i "/^$id /d" {queue}; done\n'
    for name, text in (("squeue", squeue), ("scancel", scancel)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cancel_leftovers("personae-aaaa") == 1
    assert queue.read_text() == "12 personae-bbbb_1\n13 other\n"
    assert cancel_leftovers("personae-aaaa") == 0


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "free some space"), (errno.EROFS, "mount the disk read-write")],
)
def test_results_that_cannot_be_written_are_one_line_before_any_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError(number, "as the kernel says")

    monkeypatch.setattr(Path, "write_text", fails)
    monkeypatch.setattr(Path, "write_bytes", fails)
    monkeypatch.setattr(logging, "raiseExceptions", True)
    with pytest.raises(WriteError) as caught:
        claim_results(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}/.head: ")
    assert words in str(caught.value)
    with pytest.raises(WriteError) as caught:
        require_writable(tmp_path / ".snakemake")
    assert str(caught.value).startswith(f"{tmp_path}/.snakemake/.writable: ")
    assert words in str(caught.value)
    assert not logging.raiseExceptions  # the log, on the same disk, fails in silence


def test_a_disk_that_can_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    require_writable(tmp_path / ".snakemake")
    assert list((tmp_path / ".snakemake").iterdir()) == []
