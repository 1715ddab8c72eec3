"""Case studies: projection and delusion risk turn by turn, with and without a cap."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from personae.report.plots import style
from personae.report.plots.style import Illustration, illustrated, panels
from personae.report.wording import bounds, count, readable
from personae.science.case_studies import CAPPED, CHANGE, EVERY_ARM, PLAIN, STEPS

_MOST_CASES = 3
_LOOKS = {PLAIN: (style.PERSONA, "without a cap"), CAPPED: (style.CAPPED, "with the cap")}


@illustrated
def case_studies(turns: pd.DataFrame, effects: pd.DataFrame, tokens: pd.DataFrame) -> Illustration:
    """Plot the projection of tokens and turns, and the risk of turns, of a few conversations.

    Parameters
    ----------
    turns, effects
        Rows of ``case_turns`` and ``case_effects`` of one judge.
    tokens
        Table ``token_projections``.
    """
    shown = _shown(turns)
    figure, grid = panels(2, len(shown), height=5.0, sharex="col", sharey="row")
    for column, conversation in enumerate(shown):
        here = turns[turns.conversation == conversation]
        of_tokens = tokens[tokens.conversation == conversation]
        _projections(grid[0, column], here, of_tokens)
        _risks(grid[1, column], here)
        grid[0, column].set_title(readable(conversation), fontsize=8.5)
        grid[1, column].set_xlabel("Turn")
        grid[1, column].xaxis.set_major_locator(MaxNLocator(integer=True))
    grid[0, 0].set_ylabel("Projection on the axis\n(up: toward the Assistant)")
    grid[1, 0].set_ylabel("Delusion risk (0-100)")
    handles, labels = grid[1, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return Illustration(figure, "Case studies, turn by turn", _finding(effects))


def _shown(turns: pd.DataFrame) -> list[str]:
    """Return the conversations in which the cap changes the risk most."""
    means = turns.groupby(["conversation", "arm"]).risk.mean().unstack()
    change = (means[CAPPED] - means[PLAIN]).abs().fillna(-1.0)
    return [str(name) for name in change.sort_values(ascending=False).index[:_MOST_CASES]]


def _projections(axes: Axes, turns: pd.DataFrame, tokens: pd.DataFrame) -> None:
    for arm, (color, _) in _LOOKS.items():
        of_arm = tokens[tokens.arm == arm].sort_values(["turn", "token"])
        longest = of_arm.groupby("turn").token.transform("max") + 1
        place = of_arm.turn + 0.8 * of_arm.token / longest
        # A line within turns alone: tokens of different turns are not neighbours.
        for _, part in of_arm.groupby("turn"):
            axes.plot(place[part.index], part.projection, color=color, lw=0.6, alpha=0.55)
        means = turns[turns.arm == arm].sort_values("turn")
        axes.plot(means.turn + 0.4, means.projection, "o-", color=color, ms=5, lw=1.4)


def _risks(axes: Axes, turns: pd.DataFrame) -> None:
    for arm, (color, label) in _LOOKS.items():
        rows = turns[turns.arm == arm].sort_values("turn")
        axes.plot(rows.turn + 0.4, rows.risk, "o-", color=color, ms=5, label=label)
    written = turns[turns.arm == "shipped"].sort_values("turn")
    dotted: style.Look = {"color": style.NULL, "ls": ":", "lw": 1.3}
    axes.plot(written.turn + 0.4, written.risk, label="transcript as written", **dotted)
    axes.set_ylim(-4, 104)


def _finding(effects: pd.DataFrame) -> str:
    change = effects[effects.statistic == CHANGE].set_index("measure")
    parts = [
        f"{name} by {change.value[measure]:{form}} (95% interval "
        f"{bounds(change.low[measure], change.high[measure], form)})"
        for measure, name, form in (
            ("risk", "delusion risk", "+.1f"),
            ("harm", "severity of harm", "+.2f"),
            ("projection", "the projection", "+.2f"),
        )
        if measure in change.index and np.isfinite(change.value[measure])
    ]
    n = int(change.clusters.max()) if len(change) else 0
    text = f"Over {count(n, 'conversation')} the cap changes {', '.join(parts)}."
    steps = effects[
        (effects.statistic == STEPS) & (effects.measure == "risk") & (effects.arm == EVERY_ARM)
    ]
    if steps.empty or not np.isfinite(steps.value.iloc[0]):
        return text
    row = steps.iloc[0]
    return (
        f"{text} From turn to turn, risk and projection change together with r = {row.value:.2f} "
        f"(95% interval {bounds(row.low, row.high)}; {int(row.n)} steps)."
    )
