"""All responses of a model with their scores, in columns, for the page's browser of responses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from personae.data.data_frames import read_frame
from personae.data.schemas import SCHEMAS
from personae.report.response_sources import SOURCES, ResponseSource
from personae.report.wording import visible

MOST: Final = 20_000
"""Responses that the page carries: what is beyond is left out, evenly over their subjects."""

_SHARED: Final = ("response_id", "messages", "system_inserted", "response", "question")
_EXTRAS: Final = ("layer", "coefficient", "direction", "band", "percentile", "turn")


def browsable_responses(
    files: Mapping[str, Sequence[str]],
    projections: Mapping[tuple[str, str, str, int], float],
    most: int = MOST,
) -> dict[str, Any]:
    """Return the responses of a model as columns of equal length.

    Parameters
    ----------
    files
        The report's inputs of one model, by name.
    projections
        ``<h, u>`` on the Assistant Axis by arm, conversation, how the turn was made, and turn.
    most
        Responses to keep: the first of every subject of every arm.

    Returns
    -------
    dict
        ``columns``; ``texts``, to which ``system``, ``inserted`` and ``question`` point; ``scores``
        by rubric and judge; ``total``, the number of responses before any was left out.
    """
    sources = [source for source in SOURCES if files.get(source.responses)]
    if not sources:
        return {"columns": {}, "texts": [], "scores": {}, "total": 0}
    ranks = [_ranks(source, files) for source in sources]
    limit = rows_of_each(np.concatenate(ranks), most)
    # One input at a time: all responses of a large study are gigabytes.
    frames = [_frame(source, files)[of < limit] for source, of in zip(sources, ranks, strict=True)]
    kept = _with_system(pd.concat(frames, ignore_index=True))
    texts: dict[str, int] = {}
    pointed = {
        name: [texts.setdefault(visible(text), len(texts)) for text in kept[name]]
        for name in ("system", "inserted", "question")
    }
    plain = {
        name: _plain(kept[name]) for name in ("arm", "subject", "side", "case", "id", *_EXTRAS)
    }
    keys = zip(kept.arm, kept.subject, kept.side, kept.turn, strict=True)
    columns = {
        **plain,
        **pointed,
        "text": [visible(text) for text in kept.response],
        "projection": [_rounded(projections.get(_turn_key(key))) for key in keys],
    }
    return {
        "columns": columns,
        "texts": list(texts),
        "scores": _scores(kept, files),
        "total": sum(map(len, ranks)),
    }


def _turn_key(key: tuple[Any, Any, Any, Any]) -> tuple[str, str, str, int]:
    arm, subject, side, turn = key
    return str(arm), str(subject), str(side), -1 if pd.isna(turn) else int(turn)


def _ranks(source: ResponseSource, files: Mapping[str, Sequence[str]]) -> NDArray[np.int64]:
    """Return the place of every row of an input among those of its subject and side."""
    asked = [name for name in (source.subject, source.side) if name]
    found = read_frame(files[source.responses], source.kind, asked)
    return np.asarray(found.groupby(asked, sort=False).cumcount(), dtype=np.int64)


def rows_of_each(ranks: NDArray[np.int64], most: int) -> int:
    """Return how many of the first rows of every subject and side fit; at least one."""
    return max(int(np.searchsorted(np.cumsum(np.bincount(ranks)), most, side="right")), 1)


def _frame(source: ResponseSource, files: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Return the rows of one input with the columns that all inputs share."""
    wanted = {*_SHARED, *_EXTRAS, *source.renamed, source.subject, source.side, *source.case}
    # Token ids are most of such a table, and nobody reads them here.
    columns = [name for name in SCHEMAS[source.kind].names if name in wanted]
    found = read_frame(files[source.responses], source.kind, columns).rename(
        columns=dict(source.renamed)
    )
    shared = found[[*_SHARED, *(name for name in _EXTRAS if name in found)]].rename(
        columns={"response_id": "id", "system_inserted": "inserted"}
    )
    return shared.assign(
        arm=source.arm,
        subject=found[source.subject],
        side=found[source.side] if source.side else "",
        case=["/".join(map(str, key)) for key in found[list(source.case)].itertuples(index=False)],
        **{name: np.nan for name in _EXTRAS if name not in found},
    )


def _with_system(rows: pd.DataFrame) -> pd.DataFrame:
    """Replace the messages by the system prompt in them, empty if there is none."""
    asked = [json.loads(messages) for messages in rows.messages]
    system = ["".join(m["content"] for m in each if m["role"] == "system") for each in asked]
    return rows.drop(columns="messages").assign(system=system)


def _plain(column: pd.Series[Any]) -> list[Any]:
    """Return values for JSON: whole numbers as such, none for a missing one."""
    return [None if pd.isna(v) else v.item() if hasattr(v, "item") else v for v in column]


def _rounded(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), 2)


def _scores(kept: pd.DataFrame, files: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return scores by rubric and judge, each in the order of the responses; null is unscored."""
    found: dict[str, dict[str, list[float | None]]] = {}
    for source, scores in _score_tables(files):
        ids = kept.id[kept.arm == source.arm]
        places = dict(zip(ids, ids.index, strict=True))
        for row in scores[scores.response_id.isin(places)].itertuples():
            judges = found.setdefault(str(row.rubric), {})
            column = judges.setdefault(str(row.judge), [None] * len(kept))
            column[places[row.response_id]] = _rounded(row.score)
    return found


def _score_tables(
    files: Mapping[str, Sequence[str]],
) -> Iterator[tuple[ResponseSource, pd.DataFrame]]:
    for source in SOURCES:
        if source.scores and (paths := files.get(source.scores)):
            columns = ["response_id", "rubric", "judge", "score"]
            yield source, read_frame(paths, "scores", columns)
