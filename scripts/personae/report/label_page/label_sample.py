"""A stratified, blinded sample of a study's judged responses."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from personae.base.errors import PersonaeError
from personae.data.data_frames import read_frame
from personae.data.table_values import SCALES

_ARMS: Final = {
    "roles": ("roles/*", "role_responses", "role_adherence"),
    "traits": ("traits/*/*", "trait_responses", "trait"),
    "steering": ("steering/*/alpha_sweep", "steered_responses", "trait"),
    "steering_coherence": ("steering/*/alpha_sweep", "steered_responses", "coherence"),
    "capping": ("capping", "capped_responses", "role_adherence"),
}
"""Arm to the folders of its tables, their kind, and the rubric that is labelled."""


def judged_responses(folder: Path, model: str) -> pd.DataFrame:
    """Return every response that the primary judge scored, by arm.

    Returns
    -------
    pd.DataFrame
        Columns: arm, response_id, question, response, rubric, target, score.

    Raises
    ------
    PersonaeError
        When the folder holds no judged responses.
    """
    parts = []
    for arm, (pattern, kind, rubric) in _ARMS.items():
        for path in sorted((folder / model).glob(f"{pattern}/scores.parquet")):
            responses = read_frame(
                str(path.with_name("responses.parquet")),
                kind,
                ["response_id", "question", "response"],
            )
            scores = read_frame(
                str(path), "scores", ["response_id", "target", "score"],
                [("primary", "==", True), ("rubric", "==", rubric)],
            )  # fmt: skip
            merged = responses.merge(scores.dropna(subset="score"), on="response_id")
            parts.append(merged.assign(arm=arm, rubric=rubric))
    if not parts:
        raise PersonaeError(
            f"{folder / model}: no judged responses; name the results of a finished study, such as "
            "results/demo"
        )
    return pd.concat(parts, ignore_index=True)


def draw_sample(responses: pd.DataFrame, size: int, seed: int) -> pd.DataFrame:
    """Draw responses evenly over arms and over the judge's low, middle and high scores.

    Returns
    -------
    pd.DataFrame
        The drawn rows in random order, with ``item`` (a name that says nothing about the arm) and
        ``weight``, the number of responses that each stands for.
    """
    share = responses.score / responses.rubric.map(lambda rubric: SCALES[rubric][1])
    stratum = (
        responses.arm + "/" + pd.cut(share, [-0.01, 0.34, 0.67, 1.01], labels=False).astype(str)
    )
    rng = np.random.default_rng(seed)
    each = max(1, size // stratum.nunique())
    drawn = []
    for _, members in responses.groupby(stratum):
        chosen = rng.choice(members.index, min(each, len(members)), replace=False)
        drawn.append(responses.loc[chosen].assign(weight=len(members) / len(chosen)))
    sample = pd.concat(drawn)
    sample = sample.iloc[rng.permutation(len(sample))]
    return sample.assign(item=[_name(row) for row in sample.itertuples()])


def _name(row: Any) -> str:
    text = f"{row.arm}\0{row.response_id}\0{row.rubric}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]
