"""Case studies: risk, harm and projection turn by turn, and what capping changes (AA)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from personae.data import tables
from personae.science.cluster_inference import mean_of_clusters
from personae.science.permutations import permutation_p, permuted_labels
from personae.science.resampling import encode, ratio
from personae.science.statistics import correlations

PLAIN: Final = "replayed"
CAPPED: Final = "capped"
CHANGE: Final = "change"
LEVELS: Final = "correlation of levels"
STEPS: Final = "correlation of steps"
EVERY_ARM: Final = "*"
MEASURES: Final = ("risk", "harm", "projection")

_TURN: Final = ["conversation", "arm", "turn"]

Record = dict[str, Any]


def case_turns(replays: pa.Table, scores: pa.Table, projections: pa.Table) -> pa.Table:
    """Join the turns with their verdicts and projections.

    Parameters
    ----------
    replays
        Columns ``response_id``, ``conversation``, ``arm``, ``turn``.
    scores
        Table ``scores``: ``delusion_risk`` (0-100, higher is worse) and ``harm`` (0-3).
    projections
        Rows of ``drift_projections`` along the axis at one layer.

    Returns
    -------
    pa.Table
        Columns of ``case_turns``, one row per judge and turn; NaN where unscored.
    """
    places = projections.select([*_TURN, "domain", "kind", "layer", "projection"]).to_pandas()
    turns = replays.to_pandas().merge(places, on=_TURN, how="left")
    judged = scores.select(["response_id", "rubric", "judge", "score"]).to_pandas()
    wide = judged.pivot(index=["judge", "response_id"], columns="rubric", values="score")
    wide = wide.reset_index().rename(columns={"delusion_risk": "risk"})
    found = wide.merge(turns, on="response_id", validate="many_to_one")
    # An empty turn has no tokens to project: domain and kind are those of its conversation.
    for name in ("domain", "kind", "layer"):
        found[name] = found.groupby("conversation")[name].transform("first")
    ordered = found.sort_values(["judge", *_TURN])
    names = ["judge", "conversation", "domain", "kind", "arm", "turn", "layer", *MEASURES]
    records = ordered[names].astype(object)
    return tables.from_rows(records.where(records.notna(), None).to_dict("records"), "case_turns")


def case_effects(turns: pa.Table, *, permutations: int, seed: int) -> pa.Table:
    """What capping changes, and how risk and harm go with the projection.

    Parameters
    ----------
    turns
        Table ``case_turns``.
    permutations, seed
        Shuffles of the projections within every conversation and arm, and the bootstrap's seed.

    Returns
    -------
    pa.Table
        Columns of ``case_effects``. ``change``: capped minus plain, mean over the turns of a
        conversation, with an interval over conversations (Student) and exact sign flips. The
        correlations are of risk or harm with the projection on the axis: of ``levels``, after the
        mean of each conversation and arm is removed, and of ``steps`` from one turn to the next,
        with an interval over conversations; ``p_less`` says how often a shuffle is as negative.
    """
    rows: list[Record] = []
    for judge, found in turns.to_pandas().groupby("judge"):
        made = [*_changes(found), *_correlations(found, permutations, seed)]
        rows += [{"judge": judge, **row} for row in made]
    return tables.from_rows(rows, "case_effects")


def _changes(turns: pd.DataFrame) -> Iterator[Record]:
    for measure in MEASURES:
        means = turns.groupby(["conversation", "arm"])[measure].mean().unstack()
        if not {PLAIN, CAPPED} <= set(means.columns):
            continue
        change = (means[CAPPED] - means[PLAIN]).dropna()
        found = mean_of_clusters(change.to_numpy(), change.index.to_numpy())
        yield {
            "measure": measure,
            "statistic": CHANGE,
            "arm": CAPPED,
            "n": int(turns[turns.arm == CAPPED][measure].notna().sum()),
            "clusters": found.clusters,
            "before": float(means[PLAIN].mean()),
            "value": found.interval.estimate,
            "low": found.interval.low,
            "high": found.interval.high,
            "p_less": found.p_less,
        }


def _correlations(turns: pd.DataFrame, permutations: int, seed: int) -> Iterator[Record]:
    ordered = turns.sort_values(_TURN)
    series = ordered.conversation + "/" + ordered.arm
    steps = ordered.groupby(series)[list(MEASURES)].diff()
    for arm in (EVERY_ARM, *sorted(turns.arm.unique())):
        of_arm = np.ones(len(ordered), bool) if arm == EVERY_ARM else (ordered.arm == arm)
        for measure in ("risk", "harm"):
            for statistic, values in ((LEVELS, ordered), (STEPS, steps)):
                pair = values.loc[of_arm, [measure, "projection"]].astype(float).dropna()
                if len(pair) < 3:
                    continue
                where = series.loc[pair.index].to_numpy()
                talks = ordered.conversation.loc[pair.index].to_numpy()
                yield {
                    "measure": measure,
                    "statistic": statistic,
                    "arm": arm,
                    **_correlation(pair, where, talks, statistic, permutations, seed),
                }


def _correlation(
    pair: pd.DataFrame,
    series: np.ndarray,
    talks: np.ndarray,
    statistic: str,
    permutations: int,
    seed: int,
) -> Record:
    """Correlation of two columns; of levels within series, of steps as they are."""
    x, y = pair.iloc[:, 0].to_numpy(), pair.iloc[:, 1].to_numpy()
    found = correlations(x, y, series, talks)
    chosen = found.within if statistic == LEVELS else found.pooled
    places = permuted_labels(np.arange(len(y)), permutations, seed, series)
    null = _pearsons(x, y[places], series, statistic)
    defined = not (math.isnan(chosen.estimate) or np.isnan(null).any())
    return {
        "n": found.n,
        "clusters": len(set(talks)),
        "before": None,
        "value": chosen.estimate,
        "low": chosen.low,
        "high": chosen.high,
        "p_less": float(permutation_p(chosen.estimate, null, "less")) if defined else None,
    }


def _pearsons(x: np.ndarray, y: np.ndarray, series: np.ndarray, statistic: str) -> np.ndarray:
    """Correlations ``[permutations]`` of ``x [n]`` with ``y [permutations, n]``."""
    if statistic == LEVELS:
        codes = encode(series)
        member = (codes[:, np.newaxis] == np.arange(codes.max() + 1)).astype(float)
        within = np.eye(len(x)) - (member / member.sum(axis=0)) @ member.T
        x, y = within @ x, y @ within
    a, b = x - x.mean(), y - y.mean(axis=1, keepdims=True)
    return ratio(b @ a, np.sqrt((a @ a) * (b * b).sum(axis=1)))
