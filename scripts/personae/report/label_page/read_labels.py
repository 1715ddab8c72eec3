"""What people's labels say: agreement with the judge, and judged means corrected by them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd
from sklearn.metrics import cohen_kappa_score

from personae.base.errors import PersonaeError
from personae.data import tables
from personae.data.table_values import SCALES
from personae.science.prediction_powered import corrected_mean
from personae.science.resampling import Interval

PEOPLE: Final = "people"


class LabelledArm(NamedTuple):
    """One arm: the judge's mean over all responses, and the one that labels correct."""

    arm: str
    rubric: str
    n: int
    n_labelled: int
    raw: float
    corrected: Interval
    kappa: float


def read_labels(path: Path, sample: pd.DataFrame) -> pd.DataFrame:
    """Return the labelled rows of a sample with their ``label``.

    Raises
    ------
    PersonaeError
        When the file is not one that the page saved, or is of another sample.
    """
    try:
        given = {
            str(e["item"]): float(e["label"]) for e in json.loads(path.read_text("utf-8"))["labels"]
        }
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise PersonaeError(f"{path}: not a file that the page saved ({error})") from None
    if unknown := sorted(set(given) - set(sample["item"])):
        raise PersonaeError(
            f"{path}: {len(unknown)} of {len(given)} labels are of another sample ({unknown[0]}); "
            "use the --size and --seed with which the page was made"
        )
    rows = sample[sample["item"].isin(list(given))]
    rows = rows.assign(label=rows["item"].map(given))
    top = rows.rubric.map(lambda rubric: SCALES[rubric][1])
    outside = rows[(rows.label < 0) | (rows.label > top)]
    if len(outside):
        raise PersonaeError(f"{path}: label {outside.label.iloc[0]:g} is outside its scale")
    return rows


def write_scores(labelled: pd.DataFrame, path: Path) -> None:
    """Write the labels as the ``scores`` of the judge ``people``, like those of any other judge."""
    rows: list[dict[str, Any]] = [
        {
            "response_id": row.response_id,
            "rubric": row.rubric,
            "target": row.target,
            "judge": PEOPLE,
            "primary": False,
            "score": float(row.label),
            "raw": f"{row.label:g}",
            "mode": "text",
        }
        for row in labelled.itertuples()
    ]
    tables.write(tables.from_rows(rows, "scores"), path, "scores", {"rule": "personae label"})


def labelled_arms(responses: pd.DataFrame, labelled: pd.DataFrame) -> list[LabelledArm]:
    """Compare judge and people by arm, and correct the judge's mean by the labels."""
    found = []
    for (arm, rubric), rows in labelled.groupby(["arm", "rubric"]):
        everything = responses[(responses.arm == arm) & (responses.rubric == rubric)]
        middle = SCALES[str(rubric)][1] / 2
        nan = float("nan")
        corrected = Interval(nan, nan, nan)
        if rows.question.nunique() > 1:
            corrected = corrected_mean(
                everything.score, rows.score, rows.label, rows.weight, rows.question
            )
        sides = rows.label > middle, rows.score > middle
        kappa = float(cohen_kappa_score(*sides)) if sides[0].nunique() > 1 else nan
        raw = float(everything.score.mean())
        found.append(
            LabelledArm(str(arm), str(rubric), len(everything), len(rows), raw, corrected, kappa)
        )
    return found
