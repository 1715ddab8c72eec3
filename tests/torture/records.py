"""Random bytes in Snakemake's records and in the project's own, between two runs."""

from __future__ import annotations

import base64
import random
from pathlib import Path

from .processes import forbidden_words
from .study import TortureStudy

_OWN = (".snakemake/code_digests.json", "results/.head")
_MOST_BYTES = 3000


def damage_records(study: TortureStudy, n: int, seed: int, *, is_finished: bool) -> list[str]:
    """Overwrite ``n`` records of tables, and all files of the project's own; return what is wrong.

    Right is that the next run names every record, makes the tables again as they were, and ends
    well.

    Parameters
    ----------
    is_finished
        Whether the study ran to its end: a plain run follows, otherwise one for these tables.
    """
    root, draw, before = study.project.root, random.Random(seed), study.contents()
    tables = draw.sample(sorted(before), min(n, len(before)))
    names = [f"{study.results.relative_to(root).as_posix()}/{table}" for table in tables]
    records = [
        _record(root, "incomplete" if number % 3 == 2 else "metadata", name)
        for number, name in enumerate(names)
    ]
    for path in [*records, *(root / name for name in _OWN)]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(draw.randbytes(draw.randint(1, _MOST_BYTES)))
    done = study.run() if is_finished else study.run("--", *names)
    said = done.stdout + done.stderr
    wrong = [f"records: {line}" for line in forbidden_words(said, "all")]
    if done.returncode:
        wrong.append(f"records: the run fails: {said[-500:]}")
    for path in records:
        if f"{path.relative_to(root)}: Snakemake's record of" not in said:
            wrong.append(f"{path}: the run does not name it")
    after = study.contents()
    return [*wrong, *(f"{name} differs" for name in before if after.get(name) != before[name])]


def _record(root: Path, kind: str, name: str) -> Path:
    """Return where Snakemake keeps a record of an output."""
    code = base64.urlsafe_b64encode(name.encode()).decode()
    parts = [code[start : start + 254] for start in range(0, len(code), 254)]
    folders = [f"@{part}" for part in parts[:-1]]
    return root.joinpath(".snakemake", kind, *folders, parts[-1])
