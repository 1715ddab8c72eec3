"""Agreement of judges with the labelled set, on questions that no mapping was fitted on."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from personae.judging.calibration import POOLED
from personae.science.jackknife import IDENTITY, jackknife_interval
from personae.science.resampling import (
    DRAWS,
    Bootstrap,
    Interval,
    draw_clusters,
    interval,
    midranks,
    ratio,
)
from personae.science.score_levels import HIGH, LABELLED, LABELS, SHARES, UNSCORED, level
from personae.science.statistics import auc_interval, correlations, wilson

Record = dict[str, Any]
Pairs = Sequence[tuple[str, str]]

_NONE: Final = Interval(math.nan, math.nan, math.nan)


def agreement_rows(scored: Sequence[Record], seed: int) -> list[Record]:
    """Return agreement per judge, rubric and target, and over all targets of a rubric.

    Parameters
    ----------
    scored
        Rows of ``labelled_scores``: raw scores, and scores cross-validated by question.
    seed
        Of the bootstrap over questions.

    Notes
    -----
    AUC ranks raw scores, which are never fitted to an answer's own label: the embedding judge
    compares an answer only with examples of other questions. What is high, and the levels that
    kappa and accuracy compare, is said in `personae.science.score_levels`. Accuracy is over what is
    scored; its bounds are as if everything unscored were wrong, then right.
    """
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for row in scored:
        for target in dict.fromkeys((row["target"], POOLED)):
            groups.setdefault((row["judge"], row["rubric"], target), []).append(row)
    return [_row(*key, members, seed) for key, members in groups.items()]


def _row(judge: str, rubric: str, target: str, members: list[Record], seed: int) -> Record:
    plan = Bootstrap(DRAWS, seed)
    known = [m for m in members if m["score"] is not None]
    raw = np.asarray([m["raw"] for m in known], dtype=np.float64)
    labels = np.asarray([m["label"] for m in known], dtype=np.float64)
    questions = np.asarray([m["question"] for m in known])
    pairs = [(level(m, "label"), level(m, "score")) for m in known]
    return {
        "judge": judge,
        "rubric": rubric,
        "target": target,
        "n": len(known),
        "n_unscored": len(members) - len(known),
        **named("auc", area_under_curve(raw, labels >= HIGH[rubric], questions, plan)),
        **named("spearman", spearman(raw, labels, questions, plan)),
        **named("kappa", kappa_interval(pairs, questions, plan)),
        **named("slope", slope(known, rubric, questions)),
        **named("false_high", false_high(known, rubric)),
        **_accuracy(pairs, len(members)),
    }


def _accuracy(pairs: Pairs, n: int) -> Record:
    right, missing = sum(a == b for a, b in pairs), n - len(pairs)
    return {
        "accuracy": right / len(pairs) if pairs else math.nan,
        "accuracy_if_lowest": right / n,
        "accuracy_if_highest": (right + missing) / n,
    }


def named(name: str, found: Interval) -> Record:
    """Return the columns of an interval."""
    return {name: found.estimate, f"{name}_low": found.low, f"{name}_high": found.high}


def area_under_curve(
    scores: NDArray[np.float64], high: NDArray[np.bool_], clusters: NDArray[Any], plan: Bootstrap
) -> Interval:
    """AUC of ``scores [n]`` for what is ``high [n]``; NaN where all or nothing is."""
    if high.all() or not high.any():
        return _NONE
    return auc_interval(scores[high], scores[~high], clusters[high], clusters[~high], plan.level)


def spearman(
    left: NDArray[np.float64], right: NDArray[np.float64], clusters: NDArray[Any], plan: Bootstrap
) -> Interval:
    """Rank correlation of ``left [n]`` and ``right [n]``; NaN below 3 items or without variety.

    Notes
    -----
    The ranks are those of the whole sample in every draw: ranking within each draw changes the
    bounds by less than their own sampling error, at a hundred times the cost.
    """
    if len(left) < 3 or left.std() == 0 or right.std() == 0:
        return _NONE
    everything = np.zeros(len(left), dtype=np.int64)
    return correlations(midranks(left), midranks(right), everything, clusters, plan.level).pooled


def slope(known: Sequence[Record], rubric: str, questions: NDArray[Any]) -> Interval:
    """Change of the judge's mean for a change of 1 in the label, jackknife over questions.

    Of rubrics that are read as a share (`SHARES`) score and label are 1 where they are high, and
    the slope is sensitivity plus specificity minus 1.
    """
    scores, labels = (
        np.asarray([record[name] for record in known], dtype=np.float64)
        for name in ("score", "label")
    )
    if rubric in SHARES:
        scores, labels = ((v >= HIGH[rubric]).astype(np.float64) for v in (scores, labels))
    every = np.unique(questions)
    left_out = [_slope(scores[questions != q], labels[questions != q]) for q in every]
    return jackknife_interval(_slope(scores, labels), left_out, IDENTITY)


def false_high(known: Sequence[Record], rubric: str) -> Interval:
    """Share of responses labelled low that the judge calls high, with Wilson bounds."""
    low = [record for record in known if record["label"] < HIGH[rubric]]
    return wilson(sum(record["score"] >= HIGH[rubric] for record in low), len(low))


def _slope(scores: NDArray[np.float64], labels: NDArray[np.float64]) -> float:
    centred = labels - labels.mean() if len(labels) else labels
    spread = float(centred @ centred)
    return float(centred @ scores) / spread if spread > 0.0 else math.nan


def kappa_interval(
    pairs: Pairs, clusters: Sequence[str] | NDArray[Any], plan: Bootstrap
) -> Interval:
    """Cohen's kappa of pairs ``[n]`` with an interval over their clusters ``[n]``.

    Kappa is the agreement of two raters beyond chance; NaN when chance alone explains everything.
    Written out because a draw is a table of counts, which no library takes.
    """
    if not pairs:
        return _NONE
    draws = draw_clusters(clusters, plan)
    names = sorted({name for pair in pairs for name in pair})
    place = {name: i for i, name in enumerate(names)}
    cells = np.asarray([place[a] * len(names) + place[b] for a, b in pairs])
    k, size = draws.counts.shape[1], len(names) ** 2
    tables = np.bincount(draws.codes * size + cells, minlength=k * size).reshape(k, size)
    found = _kappas(np.concatenate([np.ones((1, k)), draws.counts]) @ tables, len(names))
    return interval(float(found[0]), found[1:], plan.level)


def _kappas(counts: NDArray[np.float64], n_names: int) -> NDArray[np.float64]:
    """Cohen's kappa ``[b]`` of tables of counts ``[b, names * names]``."""
    tables = counts.reshape(-1, n_names, n_names)
    total = tables.sum(axis=(1, 2))
    observed = ratio(np.trace(tables, axis1=1, axis2=2), total)
    chance = ratio((tables.sum(axis=1) * tables.sum(axis=2)).sum(axis=1), total**2)
    return ratio(observed - chance, 1.0 - chance)


def confusion_rows(scored: Sequence[Record]) -> list[Record]:
    """Return counts of label level against judged level, per judge and rubric over all targets."""
    counts: Counter[tuple[str, str, str, str]] = Counter()
    for row in scored:
        judged = UNSCORED if row["score"] is None else level(row, "score")
        counts[row["judge"], row["rubric"], level(row, "label"), judged] += 1
    return [
        {
            "judge": judge,
            "against": LABELS,
            "arm": LABELLED,
            "rubric": rubric,
            "target": POOLED,
            "label": label,
            "predicted": predicted,
            "n": n,
        }
        for (judge, rubric, label, predicted), n in sorted(counts.items())
    ]
