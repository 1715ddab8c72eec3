"""Screening of training data by its projection difference (PV, data screening).

For a training row the difference is ``(<h_training, v> - mean <h_own, v>) / |v|^2``, with ``h`` the
mean residual stream of the response tokens after block ``layer``: of the training response, and of
the answers that the model itself gives to the same prompt. Positive means that the row pulls toward
the trait; the unit is the vector's length.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from personae.data.table_values import number_or_none
from personae.science.cluster_inference import mean_of_clusters
from personae.science.statistics import auc, auc_interval, pearson

NORMAL = "normal"


def summary_rows(
    rows: pd.DataFrame,
    datasets: Mapping[str, tuple[str, str]],
    trained_effects: Mapping[tuple[str, str, str], Sequence[float]],
    percentile: float,
) -> list[dict[str, Any]]:
    """Summarise every dataset along every trait. Columns of ``screening``.

    Parameters
    ----------
    rows
        Tables ``screened_rows`` of all datasets.
    datasets
        Trait and level of every dataset; both empty for a user's file.
    trained_effects
        Shift and change of the trait score that training on a dataset caused, by trained trait,
        level and measured trait, see `personae.science.finetuning_shift.mean_by_dataset`.
    percentile
        Rows above this percentile of the normal rows' differences are flagged.

    Notes
    -----
    ``auc`` is the probability that a row of the dataset has a larger difference than a normal row
    of the same trait; a dataset of normal rows has none. ``cheap_*`` take the first of the model's
    own answers for all of them: correlation with the full difference, mean absolute error and AUC.
    """
    frame = differences(rows)
    thresholds = normal_thresholds(frame, datasets, percentile)
    made = []
    for (dataset, trait), part in frame.groupby(["dataset", "trait"], sort=False):
        trained, level = datasets[str(dataset)]
        mean = mean_of_clusters(part.difference.to_numpy(), part.prompt_id.to_numpy()).interval
        pooled = thresholds.get(("", str(trait)), math.nan)
        threshold = thresholds.get((trained, str(trait)), pooled)
        effect = trained_effects.get((trained, level, str(trait)), (math.nan, math.nan))
        normal = frame[(frame.dataset == f"{trained}_{NORMAL}") & (frame.trait == trait)]
        made.append(
            {
                "dataset": dataset,
                "trained": trained,
                "level": level,
                "trait": trait,
                "layer": int(part.layer.iloc[0]),
                "n": len(part),
                "difference": mean.estimate,
                "low": number_or_none(mean.low),
                "high": number_or_none(mean.high),
                "threshold": number_or_none(threshold),
                "n_flagged": int((part.difference > threshold).sum()),
                **(_separation(part, normal) if level not in ("", NORMAL) else {}),
                "cheap_r": number_or_none(
                    pearson(part.difference.to_numpy(), part["first"].to_numpy())
                ),
                "cheap_error": float((part["first"] - part.difference).abs().mean()),
                "shift": number_or_none(effect[0]),
                "change": number_or_none(effect[1]),
            }
        )
    return made


def differences(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the difference from all own answers, and from the ``first`` of them alone."""
    return rows.assign(difference=rows.training - rows.own, first=rows.training - rows.own_first)


def normal_thresholds(
    frame: pd.DataFrame, datasets: Mapping[str, tuple[str, str]], percentile: float
) -> dict[tuple[str, str], float]:
    """Return the threshold by trained trait and measured trait; of all normal rows under ``""``."""
    levels = frame.dataset.map(lambda name: datasets[name][1]).astype(str)
    normal = frame[levels == NORMAL]
    found: dict[tuple[str, str], float] = {}
    for trait, part in normal.groupby("trait"):
        found["", str(trait)] = float(np.percentile(part.difference, percentile))
        for dataset, rows in part.groupby("dataset"):
            trained = datasets[str(dataset)][0]
            found[trained, str(trait)] = float(np.percentile(rows.difference, percentile))
    return found


def flagged_rows(
    rows: pd.DataFrame, datasets: Mapping[str, tuple[str, str]], percentile: float
) -> list[dict[str, Any]]:
    """Return every row with its difference and whether it is flagged. Columns of ``flagged_rows``.

    A user's file is held against all normal rows; where there are none, nothing can be flagged and
    ``threshold`` is null.
    """
    frame = differences(rows)
    thresholds = normal_thresholds(frame, datasets, percentile)
    made = []
    for row in frame.itertuples():
        trained = datasets[str(row.dataset)][0]
        threshold = thresholds.get((trained, str(row.trait)), thresholds.get(("", str(row.trait))))
        made.append(
            {
                "dataset": row.dataset,
                "row": row.row,
                "trait": row.trait,
                "difference": row.difference,
                "threshold": threshold,
                "flagged": threshold is not None and row.difference > threshold,
            }
        )
    return made


def _separation(part: pd.DataFrame, normal: pd.DataFrame) -> dict[str, Any]:
    """AUC of a dataset's rows against the normal ones, with an interval over prompts."""
    if normal.empty:
        return {}
    found = auc_interval(
        part.difference.to_numpy(),
        normal.difference.to_numpy(),
        part.prompt_id.to_numpy(),
        normal.prompt_id.to_numpy(),
    )
    return {
        "auc": found.estimate,
        "auc_low": number_or_none(found.low),
        "auc_high": number_or_none(found.high),
        "cheap_auc": float(auc(part["first"].to_numpy(), normal["first"].to_numpy())),
    }
