"""Tables about judges for the page: agreement, bias, and counts of unscored responses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from personae.data.data_frames import read_frame
from personae.judging.calibration import POOLED
from personae.science.score_levels import LABELS

OFFLINE_LABELS: Final = {
    "classifier": "offline: a linear model on sentence embeddings and surface features, trained on "
    "the labelled set; it does not read the rubric",
    "likelihood": "offline: a likelihood ratio under the weights of the judged model; it does not "
    "read the rubric",
    "embedding": "offline: similarity to labelled examples under a small sentence embedder; it "
    "does not read the rubric",
}
"""Descriptions of the judges that need no endpoint, by name."""


@dataclass(frozen=True)
class JudgeTables:
    """Tables about the judges of one model.

    Attributes
    ----------
    agreement
        ``agreement``: each judge against the labels, first over all targets of a rubric, then by
        target.
    pairs
        ``judge_pairs``: each pair of judges, on the labelled set and on the responses of each arm.
    levels
        ``confusion`` of each pair of judges: a row per level of the second judge, with the counts
        of the first judge's levels as text.
    bias
        ``judge_bias``: bias by length and by order.
    summary
        ``score_summary``, over all targets of a rubric.
    """

    agreement: pd.DataFrame
    pairs: pd.DataFrame
    levels: pd.DataFrame
    bias: pd.DataFrame
    summary: pd.DataFrame


def read_judges(files: Mapping[str, Sequence[str]]) -> JudgeTables:
    """Read the tables of one model."""
    return JudgeTables(
        agreement=pooled_first(read_frame(files["agreement"], "agreement")),
        pairs=read_frame([*files["judge_pairs"], *files["study_pairs"]], "judge_pairs"),
        levels=levels(read_frame([*files["confusion"], *files["study_confusion"]], "confusion")),
        bias=read_frame(files["judge_bias"], "judge_bias"),
        summary=over_targets(read_frame(files["score_summary"], "score_summary")),
    )


def pooled_first(agreement: pd.DataFrame) -> pd.DataFrame:
    """Sort each rubric's row over all targets before its rows by target.

    A rubric without targets, such as coherence, has only the row over all.
    """
    rows = agreement[agreement.target != ""]
    place = rows.groupby(["judge", "rubric"], sort=False).ngroup()
    order = pd.DataFrame({"place": place, "single": rows.target != POOLED})
    return rows.loc[order.sort_values(["place", "single"], kind="stable").index]


def levels(confusion: pd.DataFrame) -> pd.DataFrame:
    """Aggregate ``confusion`` of two judges to one row per level of the second judge."""
    between = confusion[(confusion.against != LABELS) & (confusion.n > 0)]
    keys = ["judge", "against", "arm", "rubric", "label"]
    rows = [
        dict(zip([*keys, "given"], [*key, _counts(members)], strict=True))
        for key, members in between.groupby(keys, sort=False)
    ]
    found = pd.DataFrame(rows, columns=[*keys, "given"])
    place = found.groupby(keys[:-1], sort=False).ngroup()
    return found.assign(place=place).sort_values(["place", "label"], ignore_index=True)


def _counts(members: pd.DataFrame) -> str:
    ordered = members.sort_values("predicted")
    return ", ".join(f"{m.predicted}: {m.n}" for m in ordered.itertuples())


def over_targets(summary: pd.DataFrame) -> pd.DataFrame:
    """Pool ``score_summary`` over the targets of each rubric; responses have equal weight."""
    keys = ["judge", "arm", "rubric"]
    groups = summary.groupby(keys, sort=False)
    rows = [{**dict(zip(keys, key, strict=True)), **_pooled(rows)} for key, rows in groups]
    corrected = ("corrected", "corrected_low", "corrected_high")
    counts = ("mode", "n", "n_unscored", "reasons")
    columns = [*keys, *counts, "mean", *corrected, "if_lowest", "if_highest"]
    return pd.DataFrame(rows, columns=columns)


def _pooled(rows: pd.DataFrame) -> dict[str, object]:
    total = rows.n + rows.n_unscored
    scored = rows[rows.n > 0]
    reasons: Counter[str] = Counter()
    for text in rows.reasons:
        for part in filter(None, text.split(", ")):
            reason, n = part.rsplit(" ", 1)
            reasons[reason] += int(n)
    return {
        "mode": ", ".join(dict.fromkeys(rows["mode"])),
        "n": int(rows.n.sum()),
        "n_unscored": int(rows.n_unscored.sum()),
        "reasons": ", ".join(f"{reason} {n}" for reason, n in reasons.most_common()),
        "mean": float(np.average(scored["mean"], weights=scored.n)) if len(scored) else np.nan,
        # The targets share the judge, and so its errors: bounds are averaged like the means.
        **{
            name: float(np.average(scored[name], weights=scored.n)) if len(scored) else np.nan
            for name in ("corrected", "corrected_low", "corrected_high")
        },
        "if_lowest": float(np.average(rows.if_lowest, weights=total)),
        "if_highest": float(np.average(rows.if_highest, weights=total)),
    }
