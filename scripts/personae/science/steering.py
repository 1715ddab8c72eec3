"""Steering along trait vectors: the effect of every arm, and the choice of a layer.

Steering adds ``coefficient * v`` to the residual stream after block ``layer``, ``v`` being the
trait vector as extracted (not normalised), which points toward the trait: positive coefficients
induce it, negative ones suppress it (PV, steering).
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import pyarrow as pa

from personae.data import tables
from personae.data.judge_scores import in_order, judged_members, scores_by_judge
from personae.science.resampling import DRAWS, Bootstrap
from personae.science.statistics import summarise
from personae.science.steering_arms import Setting

_SCALE: Final = (0.0, 100.0)


def effect_table(responses: pa.Table, scores: pa.Table, trait: str, seed: int) -> pa.Table:
    """Mean score of every arm by judge and rubric, with intervals over questions (PV, steering).

    Parameters
    ----------
    responses
        Table ``steered_responses`` of one trait.
    scores
        Table ``scores`` of the same responses, trait and coherence, by all judges.
    trait
        Name that is written to the table.
    seed
        Of the bootstrap, which draws questions with replacement.

    Returns
    -------
    pa.Table
        Columns of ``steering_effects``; no arm is marked as chosen. Scores are 0-100; ``mean`` is
        over scored responses, ``if_lowest`` and ``if_highest`` as if every unscored one had 0 or
        100. ``coefficient`` multiplies the trait vector as extracted: positive is toward the trait.
        ``layer`` is the block after which it is added, ``positions`` at which tokens.

    Raises
    ------
    ValueError
        When a score lies outside 0-100.
    """
    arms: dict[Setting, list[dict[str, Any]]] = {}
    for row in responses.select(
        ["response_id", "direction", "layer", "coefficient", "positions", "question_id"]
    ).to_pylist():
        arms.setdefault(Setting(row["direction"], row["layer"], row["coefficient"]), []).append(row)
    rows = []
    for rubric in ("trait", "coherence"):
        for judge, judged in scores_by_judge(scores, rubric).items():
            for setting, members in judged_members(arms, judged).items():
                summary = summarise(
                    in_order(judged, (m["response_id"] for m in members)),
                    [m["question_id"] for m in members],
                    Bootstrap(DRAWS, seed),
                    scale=_SCALE,
                )
                rows.append(
                    {
                        "trait": trait,
                        "judge": judge,
                        "rubric": rubric,
                        **setting._asdict(),
                        "positions": members[0]["positions"],
                        "n": summary.n_scored,
                        "n_unscored": summary.n_unscored,
                        "mean": summary.mean.estimate,
                        "low": summary.mean.low,
                        "high": summary.mean.high,
                        "if_lowest": summary.if_lowest,
                        "if_highest": summary.if_highest,
                        "chosen": False,
                    }
                )
    return tables.from_rows(rows, "steering_effects")


class Choice(NamedTuple):
    """The layer with the largest gain among arms whose coherence stays above the floor."""

    setting: Setting
    gain: float
    coherent: bool


def choose_setting(effects: pa.Table, judge: str, coherence_floor: float) -> Choice:
    """Choose the arm, and so the layer, with the largest trait gain at sufficient coherence.

    The gain is the mean trait score minus that of the unsteered arm (PV, layer sweep).

    Parameters
    ----------
    effects
        Table ``steering_effects`` of one trait's layer sweep.
    judge
        Whose trait scores decide: the primary judge.
    coherence_floor
        Lowest mean coherence, 0-100, with which an arm qualifies by the scores of *every* judge:
        one judge alone may take broken text for coherent.

    # ASSUME: where no steered arm reaches the floor, the most coherent one is taken and marked
    # (``coherent`` False), so that a model that cannot be steered coherently still gives a result.

    Raises
    ------
    ValueError
        When no steered arm has both scores.
    """
    means: dict[str, dict[Setting, float]] = {"trait": {}, "coherence": {}}
    for row in effects.to_pylist():
        setting = Setting(row["direction"], row["layer"], row["coefficient"])
        mean = math.nan if row["mean"] is None else row["mean"]
        if row["judge"] == judge:
            means[row["rubric"]][setting] = min(mean, means[row["rubric"]].get(setting, math.inf))
        elif row["rubric"] == "coherence" and not math.isnan(mean):
            means["coherence"][setting] = min(mean, means["coherence"].get(setting, math.inf))
    baseline = next(m for s, m in means["trait"].items() if s.coefficient == 0)
    gains = {
        s: mean - baseline
        for s, mean in means["trait"].items()
        if s.coefficient > 0 and not math.isnan(mean + means["coherence"][s])
    }
    if not gains:
        raise ValueError(f"no steered arm was scored by {judge!r}: no layer can be chosen")
    coherent = {s: g for s, g in gains.items() if means["coherence"][s] >= coherence_floor}
    if coherent:
        best = max(coherent, key=lambda s: coherent[s])
        return Choice(best, coherent[best], True)
    best = max(gains, key=lambda s: means["coherence"][s])
    return Choice(best, gains[best], False)


def mark_chosen(effects: pa.Table, judge: str, coherence_floor: float) -> pa.Table:
    """Mark the arm that `choose_setting` chooses, in the rows of ``judge``, as ``chosen``.

    The arguments are those of `choose_setting`.
    """
    choice = choose_setting(effects, judge, coherence_floor)
    marks = [
        row["judge"] == judge
        and Setting(row["direction"], row["layer"], row["coefficient"]) == choice.setting
        for row in effects.to_pylist()
    ]
    column = effects.schema.get_field_index("chosen")
    return effects.set_column(column, "chosen", pa.array(marks))
