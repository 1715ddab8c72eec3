"""Error rates of verdicts: ``python -m personae.tools.verdict_calibration STUDY.yaml ...``.

Simulates the studies of the given configurations, and one in which every claim has just its minimum
of units. Writes the rates that the report shows beside its verdicts, and docs/verdicts.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from pathlib import Path
from typing import Any

from personae.base.atomic_files import replace_atomically
from personae.base.strict_yaml import read_yaml
from personae.report.scorecard.all_claims import CLAIMS, CROSS_CLAIMS, DIGEST
from personae.report.scorecard.verdict_rates import read_rates, write_rates
from personae.tools.verdict_calibration.least_sizes import LEAST, MOST
from personae.tools.verdict_calibration.rates_page import LEAST_NAME, rates_page
from personae.tools.verdict_calibration.simulated_verdicts import ARMS, rates
from personae.workflow.claim_sizes import Sizes
from personae.workflow.config import load_study


def main() -> None:
    """Simulate the studies of the given configurations."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("studies", nargs="*", type=Path, help="configurations of studies")
    parser.add_argument("--simulated", type=int, default=200, help="studies of each kind")
    parser.add_argument("--seed", type=int, default=0, help="seed of the simulation")
    parser.add_argument("--page", type=Path, default=Path("docs/verdicts.md"), help="page to write")
    parser.add_argument(
        "--arms",
        nargs="+",
        choices=ARMS,
        help="simulate these anew and keep the other claims' rates",
    )
    parser.add_argument("--least", action="store_true", help="also the fewest units of every claim")
    given = parser.parse_args()
    measurements = {m["study"]: m for m in read_rates()}
    wanted = {LEAST_NAME: LEAST} if given.least else {}
    for path in given.studies:
        study = load_study(read_yaml(path, str(path)), Path())
        wanted[study.config.study] = Sizes.of(study)
    for name, sizes in wanted.items():
        found = _measured(name, sizes, given.simulated, given.seed, given.arms or list(ARMS))
        if given.arms:
            found["rates"] = measurements[name]["rates"] | found["rates"]
        measurements[name] = found
        write_rates(list(measurements.values()))
    with replace_atomically(given.page) as page:
        every = list(measurements.values())
        page.write_text(rates_page(every, (*CLAIMS, *CROSS_CLAIMS)), "utf-8")


def _measured(name: str, sizes: Sizes, studies: int, seed: int, arms: list[str]) -> dict[str, Any]:
    cut, start = sizes.at_most(**MOST), time.monotonic()
    found = rates(cut, studies, seed, processes=len(os.sched_getaffinity(0)), arms=arms)
    print(f"{name}: {2 * studies} studies in {time.monotonic() - start:.0f} s", flush=True)
    return {
        "study": name,
        "sizes": _plain(sizes),
        "simulated": _plain(cut),
        "registry": DIGEST,
        "rates": {claim: rate._asdict() for claim, rate in found.items()},
    }


def _plain(sizes: Sizes) -> dict[str, Any]:
    return {**dataclasses.asdict(sizes), "coefficients": list(sizes.coefficients)}


if __name__ == "__main__":
    main()
