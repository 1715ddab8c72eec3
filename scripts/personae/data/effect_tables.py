"""Values that both figures and claims read from the tables of effects."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

AXIS = "assistant_axis"
"""Name of the Assistant Axis in tables of cosines."""

POOLED = "*"
"""Target of an agreement over all targets of its rubric."""

HARMS = {"roles_played": "role prompts", "jailbreak_played": "persona jailbreaks"}
"""Measures that capping should lower, with what they are taken on: the share of answers that are
fully in persona, in place of the paper's share of harmful answers."""


def baseline(effects: pd.DataFrame, rubric: str) -> float:
    """Mean score without steering (coefficient 0) on ``rubric``; all rows are of one trait."""
    rows = effects[(effects.rubric == rubric) & (effects.coefficient == 0)]
    return float(rows["mean"].mean()) if len(rows) else float("nan")


def usable_coefficient(effects: pd.DataFrame, coherence_floor: float) -> float | None:
    """Largest positive coefficient at which one trait's vector keeps its responses coherent.

    The rule looks at coherence alone: choosing the coefficient with the best trait score on the
    same responses would overstate the effect. Where ``effects`` has several judges, all of them
    must find the responses coherent. ``None`` when every positive coefficient is incoherent.
    """
    own = effects[~effects.direction.str.startswith("random") & (effects.rubric == "coherence")]
    lowest = own.groupby("coefficient")["mean"].min()
    fit = lowest[(lowest.index > 0) & (lowest >= coherence_floor)]
    return float(fit.index.max()) if len(fit) else None


def late_turns(turns: pd.DataFrame) -> pd.DataFrame:
    """Keep the second half of each conversation, where drift has had time."""
    last = turns.groupby("conversation").turn.transform("max")
    return turns[turns.turn > last / 2]


class TradeoffArms(NamedTuple):
    """Arms of a trade-off as ``[settings]`` columns, the persona and the capability side joined."""

    axis: pd.DataFrame
    random: pd.DataFrame


def tradeoff_arms(tradeoff: pd.DataFrame, harm: str, capability: str) -> TradeoffArms:
    """Join reduction in ``harm`` (y) and change in ``capability`` (x) of every capped arm."""
    keys = ["direction", "band", "percentile"]
    capped = tradeoff[tradeoff.percentile.notna()]
    cost = capped[capped.measure == capability].rename(
        columns={"change": "x", "low": "x_low", "high": "x_high"}
    )
    joined = _relative(capped, harm)[[*keys, "n", "uncapped", "y", "y_low", "y_high"]].merge(
        cost[[*keys, "x", "x_low", "x_high"]], on=keys
    )
    is_random = joined.direction.str.startswith("random")
    return TradeoffArms(joined[~is_random], joined[is_random])


def _relative(tradeoff: pd.DataFrame, harm: str) -> pd.DataFrame:
    """Change of each arm as a share of the uncapped value: 1 removes all of it.

    The interval is that of the change, over the uncapped value as measured; no more than all of it
    can be removed.
    """
    rows = tradeoff[tradeoff.measure == harm]
    uncapped = (rows.value - rows.change).where(lambda value: value > 0)
    return rows.assign(
        uncapped=uncapped,
        y=-rows.change / uncapped,
        y_low=-rows.high / uncapped,
        y_high=(-rows.low / uncapped).clip(upper=1.0),
    )
