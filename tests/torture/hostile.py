"""Files that no program should choke on: each must be refused by a line, soon, and run nothing."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import torch

from .inputs import BOMB, load_all, make_project

Content = bytes | str
"""What is in the file; as a text, what is there in place of a file: folder, loop or fifo."""

_PLACES = ("folder", "loop", "fifo")


class _Runs:
    """Pickled, it makes a file when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._mark),)


def hostile_files(mark: Path) -> list[tuple[str, str, Content]]:
    """Return what each file is, in whose place it stands, and its content.

    Parameters
    ----------
    mark
        Is made by the content that runs code, if it ever does.
    """
    study, role, table = "study.yaml", "config/roles/everyday.yaml", "config/models.tsv"
    torch_file, tensors, gguf = (
        "published/axis.pt",
        "published/axis.safetensors",
        "published/kind.gguf",
    )
    return [
        ("aliases that repeat without end", study, BOMB),
        ("an alias of what holds it", study, b"study: &a [*a]\n"),
        ("a million brackets", study, b"[" * 1_000_000),
        ("UTF-16", study, "study: demo\n".encode("utf-16")),
        ("Latin-1", study, "study: dem\xf6\n".encode("latin-1")),
        ("a NUL", study, b"study: a\0b\n"),
        ("a tag that calls a function", study, b"study: !!python/object/apply:os.getcwd []\n"),
        *((f"a {kind}", role, kind) for kind in _PLACES),
        ("a text of a terabyte by aliases", role, BOMB),
        ("a fifo", table, "fifo"),
        ("a stray quotation mark", table, b'name\tid\n"a\tb\n'),
        ("bytes that are no text", table, b"name\tid\n\xff\xfe\t\n"),
        ("a text", torch_file, b"these are no tensors\n"),
        ("a tensor expanded to 536 GB", torch_file, _saved(torch.ones(1).expand(2**37))),
        ("a pickle that runs code", torch_file, _zipped(pickle.dumps(_Runs(mark)))),
        ("a bare pickle that runs code", torch_file, pickle.dumps(_Runs(mark))),
        ("a header of 2^60 bytes", tensors, struct.pack("<Q", 2**60) + b"{}"),
        ("a header of a terabyte tensor", tensors, _header()),
        ("2^60 tensors", gguf, b"GGUF" + struct.pack("<IQQ", 3, 2**60, 2**60)),
    ]


def refuse_hostile(folder: Path) -> tuple[int, list[str]]:
    """Load every hostile file; return their number, and one line for each that is not refused.

    Parameters
    ----------
    folder
        An empty folder.
    """
    make_project(folder)
    mark, cases = folder / "code-ran", []
    for number, (how, name, content) in enumerate(hostile_files(mark)):
        path = folder / "cases" / str(number)
        path.parent.mkdir(exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            _make(path, folder / name, content)
        cases.append(
            {"number": number, "file": name, "how": how, "data": str(path), "refused": True}
        )
    wrong = load_all(folder, cases)
    return len(cases), [*wrong, *(["a file ran code"] if mark.exists() else [])]


def _make(path: Path, place: Path, kind: str) -> None:
    """Make what is no file, to be moved to ``place``."""
    match kind:
        case "folder":
            path.mkdir()
        case "loop":
            path.symlink_to(place)
        case _:
            os.mkfifo(path)


def _saved(tensor: torch.Tensor) -> bytes:
    buffer = io.BytesIO()
    torch.save({"axis": tensor}, buffer)
    return buffer.getvalue()


def _zipped(pickled: bytes) -> bytes:
    """Return a file as `torch.save` lays it out, with another pickle in it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/version", "3\n")
    return buffer.getvalue()


def _header() -> bytes:
    text = (
        b'{"axis": {"dtype": "F32", "shape": [524288, 524288], "data_offsets": [0, 1099511627776]}}'
    )
    return struct.pack("<Q", len(text)) + text
