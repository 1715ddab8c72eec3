"""Claims about persona drift over the turns of conversations (AA, steps 7, 8 and 10)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from personae.data.effect_tables import late_turns
from personae.data.table_values import SIMULATED
from personae.report.scorecard.claim import Claim, Finding, Outcome, Untestable
from personae.report.scorecard.evidence import Evidence
from personae.report.scorecard.expectations import Above, Below
from personae.science.cluster_inference import Inference, mean_of_clusters, welch
from personae.science.jackknife import scaled_interval
from personae.science.permutations import permutation_p

_ROAMING = ("therapy", "philosophy")
_GROUNDED = ("coding", "writing")
_FEWEST_DIRECTIONS = 20


def _turns(evidence: Evidence) -> pd.DataFrame:
    """Turns at the middle layer, in standard deviations of each direction's shipped turns."""
    rows = evidence.read("drift", filters=evidence.at_middle)
    spread = rows[rows.arm == "shipped"].groupby("direction").projection.std()
    return rows.assign(projection=rows.projection / rows.direction.map(spread))


def _unit_without_each(turns: pd.DataFrame) -> pd.Series:
    """Standard deviation of shipped turns along the axis without each domain, in that of all.

    The unit comes from few conversations and has an error of its own. In comparisons of the shipped
    turns themselves it grows with the gap, and simulated studies show their intervals to hold
    without it (docs/verdicts.md); those of other arms are too narrow then.
    """
    rows = turns[(turns.arm == "shipped") & (turns.direction == "axis")]
    without = {str(d): rows[rows.domain != d].projection.std() for d in rows.domain.unique()}
    return pd.Series(without, dtype=float)


def _gaps(
    turns: pd.DataFrame, first: tuple[str, str], second: tuple[str, str]
) -> dict[str, Inference] | Untestable:
    """Compare late turns of two (arm, kind) within domains, along every direction."""
    rows = late_turns(turns)
    sides = [rows[(rows.arm == arm) & (rows.kind == kind)] for arm, kind in (first, second)]
    means = [side.groupby(["direction", "domain"]).projection.mean() for side in sides]
    differences = (means[0] - means[1]).dropna()
    if differences.empty:
        return Untestable(f"no domain has both {' '.join(first)} and {' '.join(second)} turns")
    return {
        str(direction): mean_of_clusters(values, values.index.get_level_values("domain"))
        for direction, values in differences.groupby(level="direction")
    }


def _against_random(gaps: dict[str, Inference] | Untestable, sign: int) -> Outcome:
    """Gap along the axis; the null are the gaps of any sign along random directions."""
    if isinstance(gaps, Untestable):
        return gaps
    own = gaps["axis"]
    random = [abs(gap.interval.estimate) for name, gap in gaps.items() if name != "axis"]
    if len(random) < _FEWEST_DIRECTIONS:
        return Untestable(f"{len(random)} random directions; {_FEWEST_DIRECTIONS} are needed")
    flipped = own.p_greater if sign > 0 else own.p_less
    p = max(flipped, float(permutation_p(sign * own.interval.estimate, random)))
    null = sign * float(np.mean(random))
    return Finding(own.interval, p, own.clusters, own.n, null)


def _drifting_below_calm(evidence: Evidence) -> Outcome:
    gaps = _gaps(_turns(evidence), ("shipped", "drifting"), ("shipped", "calm"))
    return _against_random(gaps, -1)


def _capped_above_replayed(evidence: Evidence) -> Outcome:
    turns = _turns(evidence)
    found = _against_random(_gaps(turns, ("capped", "drifting"), ("replayed", "drifting")), 1)
    if isinstance(found, Untestable):
        return found
    return found._replace(interval=scaled_interval(found.interval, _unit_without_each(turns)))


def _slopes(evidence: Evidence) -> Outcome:
    """Slope per turn of every conversation; drifting minus calm within domains."""
    rows = _turns(evidence)
    rows = rows[(rows.arm == "shipped") & (rows.direction == "axis")]
    slopes = rows.groupby(["kind", "domain", "conversation"])[["turn", "projection"]].apply(
        lambda turns: np.polyfit(turns.turn, turns.projection, 1)[0]
    )
    if not {"calm", "drifting"} <= set(slopes.index.get_level_values("kind")):
        return Untestable("calm and drifting conversations are needed")
    by_domain = slopes.groupby(level=["kind", "domain"]).mean()
    gap = (by_domain["drifting"] - by_domain["calm"]).dropna()
    found = mean_of_clusters(gap, gap.index)
    return Finding(found.interval, found.p_less, found.clusters, len(slopes))


def _by_domain(evidence: Evidence) -> Outcome:
    """Roaming minus grounded domains: conversations are the units of an unpaired comparison.

    What a conversation starts with is its domain's own level and no drift: it is subtracted. Of
    simulated conversations, as in the paper; a study without them has the shipped ones.
    """
    turns = rows = _turns(evidence)
    simulated = rows.arm == SIMULATED
    arm = simulated if simulated.any() else (rows.arm == "shipped") & (rows.kind == "drifting")
    rows = rows[arm & (rows.direction == "axis")]
    place = ["domain", "conversation"]
    first = rows.sort_values("turn").groupby(place).projection.first()
    means = (late_turns(rows).groupby(place).projection.mean() - first).dropna().reset_index()
    sides = [means[means.domain.isin(d)].projection.to_numpy() for d in (_ROAMING, _GROUNDED)]
    if not all(len(side) for side in sides):
        return Untestable("no conversation on one of the sides")
    found = welch(*sides)
    detail = "simulated conversations" if simulated.any() else "shipped conversations"
    bounds = scaled_interval(found.interval, _unit_without_each(turns))
    return Finding(bounds, found.p_less, found.clusters, found.n, detail=detail)


CLAIMS = (
    Claim(
        id="drifting-moves-away",
        paper="AA",
        section="8 Persona drift",
        text="Drifting conversations move away from the Assistant along the axis.",
        estimand="Projection of late turns, drifting minus calm, in standard deviations of all "
        "turns",
        published="negative",
        unit="domains, drifting and calm paired",
        null="sign flips over domains; gaps along random directions, of either sign",
        expect=Below(bound=0.0, smallest=-0.5),
        measure=_drifting_below_calm,
    ),
    Claim(
        id="drift-grows",
        paper="AA",
        section="8 Persona drift",
        text="Drift increases from turn to turn.",
        estimand="Slope per turn, drifting minus calm, in standard deviations of all turns",
        published="negative",
        unit="domains, drifting and calm paired",
        null="sign flips over domains",
        expect=Below(bound=0.0, smallest=-0.05),
        measure=_slopes,
    ),
    Claim(
        id="roaming-domains-drift-further",
        paper="AA",
        section="8 Persona drift",
        text="Therapy and philosophy drift further than coding and writing.",
        estimand="Change from the first to the late turns of simulated conversations (without "
        "them, of drifting ones), therapy and philosophy minus coding and writing",
        published="negative",
        unit="conversations, of the smaller side",
        null="conversations shuffled between the sides",
        expect=Below(bound=0.0, smallest=-0.5),
        measure=_by_domain,
    ),
    Claim(
        id="capping-keeps-conversations-close",
        paper="AA",
        section="10 Case studies",
        text="Capping keeps the same conversations closer to the Assistant.",
        estimand="Projection of late regenerated turns, capped minus uncapped, in standard "
        "deviations",
        published="positive",
        unit="domains, capped and uncapped paired",
        null="sign flips over domains; gaps along random directions, of either sign",
        expect=Above(bound=0.0, smallest=0.5),
        measure=_capped_above_replayed,
    ),
)
