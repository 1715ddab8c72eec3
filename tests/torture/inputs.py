"""Mutated inputs: studies, roles, traits, the model table and published files, seeded.

Every mutated file is loaded as a run would load it, in processes that are killed when they hang.
Right is either to read it or to refuse it by lines that name a file: no other exception, no hang.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_SECONDS = 20.0  # for one load
_BATCH = 25  # loads of one process
_LONGEST = 1500  # characters of one line
BOMB = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (98 + i, 98 + i, b",".join([b"*%c" % (97 + i)] * 9)) for i in range(12)
)
_VALUES = (
    b"null", b"-1", b"1e999", b".nan", b"9" * 5000, b"[]", b"{}", b"''", b"true", b"2024-02-30",
    b"'" + b"x" * 400 + b"'", b"[[[[1]]]]", b"&a [*a]", b"!!python/object:os.system x", b"~",
    b"0x" + b"f" * 3000, b"\"\\ud800\"", b"\"\\0\"", b"<<", b"*nowhere", b"models",
    b"../../etc/passwd",
)  # fmt: skip

_INSERTED = (
    b"\x00", b"\xff", b"\t", b"'", b'"', b": ", b"\xe2\x80\xa8", b"- ", b"[" * 5000, b"&a ", b"*a ",
)  # fmt: skip

Mutation = Callable[[random.Random, bytes], bytes]


def _flip(rng: random.Random, data: bytes) -> bytes:
    place = rng.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]


def _cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data))]


def _insert(rng: random.Random, data: bytes) -> bytes:
    place = rng.randrange(len(data))
    return data[:place] + rng.choice(_INSERTED) + data[place:]


def _lines(rng: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    first, second = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(4):
        case 0:
            lines[first], lines[second] = lines[second], lines[first]
        case 1:
            lines.insert(first, lines[second])
        case 2:
            del lines[first]
        case _:
            lines[first] = b"   " + lines[first]
    return b"\n".join(lines)


def _value(rng: random.Random, data: bytes) -> bytes:
    """Give one key another value, or one cell of a table another content."""
    mark = b"\t" if data.count(b"\t") > 20 else b": "
    parts = data.split(mark)
    place = rng.randrange(1, len(parts)) if len(parts) > 1 else 0
    rest = parts[place].partition(b"\n")
    parts[place] = rng.choice(_VALUES) + rest[1] + rest[2]
    return mark.join(parts)


def _recode(rng: random.Random, data: bytes) -> bytes:
    text = data.decode("utf-8", "replace")
    return text.encode(rng.choice(("utf-16", "utf-32", "utf-8-sig")))


def _whole(rng: random.Random, data: bytes) -> bytes:
    return rng.choice((b"", b"\n", BOMB, b"[" * 200_000, b"- " * 3000, b"3", b"- a", data * 2))


_MUTATIONS: tuple[Mutation, ...] = (_flip, _cut, _insert, _lines, _value, _value, _recode, _whole)
_FILES = (
    "study.yaml", "config/roles/everyday.yaml", "config/traits/poetic.yaml", "config/models.tsv",
    "published/axis.pt", "published/kind.gguf", "published/axis.safetensors",
)  # fmt: skip


def mutate(folder: Path, n: int, seed: int) -> list[str]:
    """Return one line per mutated input that is neither read nor rejected correctly.

    Parameters
    ----------
    folder
        An empty folder.
    """
    originals = make_project(folder)
    rng = random.Random(seed)
    cases = []
    for number in range(n):
        name = sorted(originals)[number % len(originals)]
        mutation = rng.choice(_MUTATIONS)
        path = folder / "cases" / str(number)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(mutation(rng, originals[name]))
        cases.append({"number": number, "file": name, "how": mutation.__name__, "data": str(path)})
    return load_all(folder, cases)


def load_all(folder: Path, cases: list[dict[str, Any]]) -> list[str]:
    """Put each case in its place and load it; return one line per case that ends wrongly.

    Parameters
    ----------
    cases
        ``number``, ``file`` (the place), ``how``, ``data`` (path of what is put there), and
        ``refused`` where it must not be read.
    """
    batches = [cases[start : start + _BATCH] for start in range(0, len(cases), _BATCH)]
    return [line for batch in batches for line in _tried(folder, batch)]


def make_project(folder: Path) -> dict[str, bytes]:
    """Make a project in ``folder``; return the files that are mutated, by name."""
    import numpy as np

    from personae.personas.published.control_vectors import write_gguf
    from personae.personas.published.write_vectors import save

    shutil.copytree(ROOT / "config", folder / "config")
    shutil.copy(ROOT / "config/demo.yaml", folder / "study.yaml")
    (folder / "published").mkdir()
    vectors = {"axis": np.ones((30, 576), np.float32)}
    for suffix in (".pt", ".safetensors"):
        save(vectors, vectors, {}, folder / f"published/axis{suffix}")
    write_gguf(vectors["axis"], "llama", folder / "published/kind.gguf")
    roles = sorted((folder / "config/roles").glob("*.yaml"))
    names = [str(roles[0].relative_to(folder)) if "roles" in name else name for name in _FILES]
    return {name: (folder / name).read_bytes() for name in names}


def _tried(folder: Path, batch: list[dict[str, Any]]) -> Iterator[str]:
    """Load mutated files in one process; continue after a file at which it hangs or crashes."""
    while batch:
        command = [sys.executable, "-m", "tests.torture.inputs", str(folder)]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, cwd=ROOT,
        )  # fmt: skip
        try:
            said, errors = process.communicate(
                "\n".join(map(json.dumps, batch)), timeout=60 + _SECONDS * len(batch)
            )
        except subprocess.TimeoutExpired:
            process.kill()
            said, errors = process.communicate()
        results = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        yield from (result["wrong"] for result in results if result["wrong"])
        batch = batch[len(results) :]
        if batch:
            ending = (errors.strip().splitlines() or ["no word"])[-1]
            _put_back(folder, batch[0])
            yield f"{_named(batch[0])}: hangs or crashes ({process.returncode}): {ending}"
            batch = batch[1:]


def _put_back(folder: Path, case: dict[str, Any]) -> None:
    """Put the right file in its place again where the process that took it away was killed."""
    if (aside := folder / "aside").exists():
        place = folder / case["file"]
        place.rename(folder / f"killed-{case['number']}")
        aside.rename(place)


def _named(case: dict[str, Any]) -> str:
    return f"input {case['number']} ({case['file']}, {case['how']})"


def _wrong(folder: Path, case: dict[str, Any]) -> str:
    """Load one mutated file; return the error in its handling, or nothing."""
    from personae.base.errors import PersonaeError

    path, aside = folder / case["file"], folder / "aside"
    path.rename(aside)
    os.rename(case["data"], path)
    try:
        _load(folder, case["file"])
    except PersonaeError as error:
        lines = str(error).splitlines() or [""]
        if bad := [line for line in lines if not line.strip() or len(line) > _LONGEST]:
            return f"{_named(case)}: a line of {len(bad[0])} characters: {bad[0][:80]!r}"
        return "" if ":" in lines[0] else f"{_named(case)}: names no place: {lines[0]}"
    except Exception as error:  # whatever comes is what is wrong
        return f"{_named(case)}: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    finally:
        os.rename(path, case["data"])
        aside.rename(path)
    return f"{_named(case)}: it is read" if case.get("refused") else ""


def _load(folder: Path, name: str) -> None:
    from personae.base.strict_yaml import read_yaml
    from personae.data.model_table import read_models
    from personae.personas.published.published_source import PublishedSource
    from personae.personas.published.vector_files import read_families
    from personae.workflow.config import load_study, shortfalls
    from personae.workflow.config.study_config import load_config

    if name.startswith("published"):
        kind = {"orientation": "toward", "kind": "axis" if "axis" in name else "trait"}
        source = PublishedSource(model="smollm2_135m", path=name, layers="blocks", **kind)
        models = read_models(folder / "config/models.tsv")
        read_families(source, models["smollm2_135m"], folder)
        return
    content = read_yaml(folder / "study.yaml", "study.yaml")
    if not isinstance(content, dict):
        load_config(folder / "study.yaml", "study.yaml")
    study = load_study(content, folder, ["study.yaml"])
    shortfalls(study)


def _alarm(signum: int, frame: object) -> None:
    raise TimeoutError(f"more than {_SECONDS:.0f} s")


def main() -> None:
    """Load the files listed on standard input; write a line of JSON for each."""
    import signal

    # Imports count for no load: on a busy machine torch alone takes longer than a load may.
    import gguf  # noqa: F401
    import torch  # noqa: F401

    folder = Path(sys.argv[1])
    signal.signal(signal.SIGALRM, _alarm)
    for line in sys.stdin:
        case = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, _SECONDS)
        wrong = _wrong(folder, case)
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(json.dumps({"wrong": wrong}), flush=True)


if __name__ == "__main__":
    main()
