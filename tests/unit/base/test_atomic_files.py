"""Files are replaced as a whole, and an unwritable disk is reported in one line."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from personae.base.atomic_files import WriteError, explained, replace_atomically

# A file may grow to 10,000 bytes: what the kernel then says is what a quota says.
LIMITED = """
import resource, signal, sys
from pathlib import Path
import pyarrow as pa
from personae.base.errors import PersonaeError
from personae.data import tables
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
rows = [{"response_id": str(i), "layer": i % 9, "projection": i ** 0.5} for i in range(9000)]
try:
    table = tables.from_rows(rows, "prompt_projections")
    tables.write(table, sys.argv[1], "prompt_projections", {})
except PersonaeError as error:
    print(error)
"""


def test_a_table_for_which_there_is_no_room_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "t.parquet"
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.startswith(f"{path}: cannot be written, file too large ("), done.stderr
    assert "MB free in" in done.stdout
    assert done.stdout.count("\n") == 1
    assert "free some space" in done.stdout
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "no space left on device"),
        (errno.EDQUOT, "quota exceeded"),
        (errno.EROFS, "may not be written"),
        (errno.EACCES, "give this user the right"),
    ],
)
def test_the_disk_s_reason_is_said_with_the_file(tmp_path: Path, number: int, words: str) -> None:
    path = tmp_path / "none" / "t.txt"
    with pytest.raises(WriteError) as caught, explained(path):
        raise OSError(number, "as the kernel says")
    assert str(caught.value).startswith(f"{path}: ")
    assert words in str(caught.value)
    with pytest.raises(FileNotFoundError), explained(path):
        path.read_text()


def test_a_block_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text("old")

    def fill() -> None:
        with replace_atomically(path) as partial:
            partial.write_text("half")
            raise OSError(errno.ENOSPC, "full")

    with pytest.raises(WriteError):
        fill()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
