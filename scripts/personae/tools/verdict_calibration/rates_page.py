"""The page docs/verdicts.md: how verdicts are made, and how often they are wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from personae.report.scorecard.claim import ClaimData

LEAST_NAME: Final = "fewest units"
"""Name of the measurement in which every claim has just its minimum of units."""

_HEAD = """# Verdicts and their error rates

A claim is data (`scripts/personae/report/scorecard`): its estimand, unit of resampling, null,
smallest size of interest and minimum of units are fixed before the results. One rule decides all.

- *Reproduced* needs the interval and the null: the estimate reaches the smallest size of interest,
  the 95% interval lies beyond the bound and beyond what the null reaches, and p is at most 0.05.
- *Not reproduced* needs an interval that excludes every size of interest, or a null whose median
  does as well as the data.
- *Inconclusive*: anything else, too few units, or a judge whose AUC on the labelled set does not
  have its lower bound above 0.75.

The tables are written by `make calibrate-verdicts`, which simulates whole studies at a study's own
sizes, with effects of questions, roles, conversations and conditions, meaningless directions that
move scores by themselves, bounded scores and judge error, and lets the claims measure them and the
scorecard judge them. *False* is the share of studies without any effect in which the claim was
reproduced (in brackets the upper 95% Wilson bound), *power* the share of studies with the published
effect in which it was (lower bound), *coverage* the share of 95% intervals, in studies with the
effect, that hold the mean estimate (Wilson bounds). Where a study has fewer units than the claim
asks for there is no interval and no verdict, and both rates are 0 by rule.

Some claims are about the coefficient or setting that a study chose by its own data. Simulated
studies choose differently, so what they may choose from has the same true value: one coefficient is
the largest coherent one, and caps over several layers act alike. A capping setting is chosen by one
half of the items for the other; by chance the halves then agree or disagree, which correlates their
errors by up to 0.36, and intervals over whole conversations are wider by that.

Intervals that hold more often than 95% are of four kinds. Shares of few items and exact answers
move in steps, and their intervals (Wilson, Tango, exact) hold at least as often as stated. The
lowest value of several traits or models lies between the lowest bounds of all of them. Crossed
clusters, such as roles and questions, take at least the variance of either kind alone. The
jackknife errs toward too much variance (Efron and Stein), most where a statistic is made of pairs
of roles, as similarities of roles and principal components are.

Inside a simulated study bootstraps and permutations have 99 draws, a real one has 200 to 1,000. A
study larger than 6 traits, 8 capped roles, 12 questions, 16 simulated conversations or 3 random
directions is simulated at the smaller of its sizes and these.
"""


def rates_page(measurements: Sequence[dict[str, Any]], claims: Sequence[ClaimData]) -> str:
    """Return the page as Markdown, one table per measured study."""
    return _HEAD + "".join(_table(measurement, claims) for measurement in measurements)


def _table(measurement: dict[str, Any], claims: Sequence[ClaimData]) -> str:
    found = measurement["rates"]
    shown = [claim for claim in claims if claim.id in found]
    studies = max((rate["studies"] for rate in found.values()), default=0)
    by_chance = sum(found[claim.id]["false_positive"] for claim in shown)
    name = measurement["study"]
    title = "Every claim at its minimum" if name == LEAST_NAME else f"Sizes of the study `{name}`"
    lines = [
        f"\n## {title}\n",
        f"{studies:,} simulated studies without and with the effects. Without any effect, "
        f"{by_chance:.2f} of {len(shown)} claims are reproduced in a study by chance.\n",
        "| Claim | Units needed | False | Power | Coverage |",
        "|---|---|---|---|---|",
    ]
    lines += [_row(claim, found[claim.id]) for claim in shown]
    return "\n".join(lines) + "\n"


def _row(claim: ClaimData, rate: dict[str, Any]) -> str:
    if rate["coverage"] is None:
        covered = "too few units"
    else:
        covered = (
            f"{rate['coverage']:.1%} ({rate['coverage_low']:.1%} to {rate['coverage_high']:.1%})"
        )
    return (
        f"| `{claim.id}` | {claim.min_clusters} | {rate['false_positive']:.1%} "
        f"({rate['false_positive_high']:.1%}) | {rate['power']:.0%} ({rate['power_low']:.0%}) "
        f"| {covered} |"
    )
