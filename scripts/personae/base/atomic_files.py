"""Atomic file writes: readers see the old or the new file, never a partial one."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from personae.base.errors import PersonaeError

_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)


class WriteError(PersonaeError):
    """A file that cannot be written; the message names file, reason and remedy."""


@contextmanager
def replace_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary file next to ``path`` that replaces it when the block succeeds.

    If the block fails, ``path`` is unchanged and the temporary file is removed.

    Raises
    ------
    WriteError
        If the disk is full or the folder is not writable.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``path`` that takes its place when the block succeeds.

    One process at a time may write ``path``: what others have left unfinished is removed.

    Raises
    ------
    WriteError
        If the disk is full or the parent folder is not writable.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with explained(path):
        for left in path.parent.glob(f".{path.name}.*.partial"):  # of a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            yield partial
            shutil.rmtree(path, ignore_errors=True)
            os.replace(partial, path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the errors of a full or read-only disk into one line about ``path``.

    Raises
    ------
    WriteError
        In place of the `OSError`; every other error passes.
    """
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise WriteError(no_room(path, error)) from error
        if error.errno in _REFUSED:
            raise WriteError(
                f"{path}: may not be written ({os.strerror(error.errno)}); give this user the "
                "right to write there, or mount the disk read-write, and run the same command again"
            ) from error
        raise


def is_full(error: OSError) -> bool:
    """Return whether a write failed for lack of space, a quota or a limit on the file's size."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def no_room(path: Path, error: OSError) -> str:
    """Say in one line that there is no room for ``path``, how much there is, and what to do."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    free = shutil.disk_usage(folder).free // 2**20
    reason = os.strerror(error.errno or errno.ENOSPC).lower()
    return (
        f"{path}: cannot be written, {reason} ({free} MB free in {folder}); "
        "free some space or raise the quota, and run the same command again"
    )
