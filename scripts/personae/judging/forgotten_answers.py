"""Forget unscored responses of a finished study, so that the next run asks the judge again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from personae.base.errors import PersonaeError
from personae.data import tables
from personae.endpoints.answer_database import FILE, AnswerDatabase

_COLUMNS: Final = ["judge", "reason", "raw"]


class Forgotten(NamedTuple):
    """Tables to be made again, unscored responses in them, and stored answers that are deleted."""

    paths: list[Path]
    responses: int
    answers: int


def forget(
    results: Path,
    answers: Path,
    endpoints: Collection[str],
    reasons: Collection[str],
    *,
    is_dry: bool = False,
) -> Forgotten:
    """Delete stored answers that left a response unscored, and the score tables that hold them.

    The next run makes these tables again. It asks for what is deleted here, and takes every other
    answer from the database.

    Parameters
    ----------
    results
        The study's folder of results.
    answers
        Folder of the database of answers.
    endpoints
        Judges whose answers are forgotten.
    reasons
        Values of the column ``reason``.
    is_dry
        Delete nothing; ``answers`` then counts none.

    Raises
    ------
    PersonaeError
        When the study has no score tables.
    """
    found, texts, responses = [], defaultdict[str, set[str]](set), 0
    is_any = False
    for path in _score_tables(results):
        is_any, rows = True, tables.read(path, "scores", _COLUMNS).to_pylist()
        unscored = [r for r in rows if r["judge"] in endpoints and r["reason"] in reasons]
        for row in unscored:
            texts[row["judge"]].add(row["raw"])
        responses += len(unscored)
        found += [path] if unscored else []
    if not is_any:
        raise PersonaeError(f"{results}: no score tables; run the study first, or name another")
    deleted = 0
    if not is_dry and (answers / FILE).exists():
        with AnswerDatabase(answers) as database:
            deleted = sum(database.forget(judge, said) for judge, said in texts.items())
    for path in () if is_dry else found:
        path.unlink()
    return Forgotten(found, responses, deleted)


def _score_tables(results: Path) -> Iterator[Path]:
    for path in sorted(results.rglob("*scores.parquet")):
        try:
            names = pq.read_schema(path).names
        except (pa.ArrowException, OSError):
            continue  # a damaged table is made again anyway
        if {"response_id", *_COLUMNS} <= set(names):
            yield path
