"""Error rates of verdicts: ``python -m personae.tools.verdict_calibration STUDY.yaml ...``.

Writes the rates that the report shows beside its verdicts, and docs/verdicts.md.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from personae.base.atomic_files import replace_atomically
from personae.base.strict_yaml import read_yaml
from personae.report.scorecard.all_claims import CLAIMS, DIGEST
from personae.report.scorecard.verdict_rates import read_rates, write_rates
from personae.tools.verdict_calibration.rates_page import rates_page
from personae.tools.verdict_calibration.simulated_verdicts import rates
from personae.workflow.claim_sizes import Sizes
from personae.workflow.config import load_study


def main() -> None:
    """Simulate the studies of the given configurations."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("studies", nargs="+", type=Path, help="configurations of studies")
    parser.add_argument("--simulated", type=int, default=200, help="studies of each kind")
    parser.add_argument("--seed", type=int, default=0, help="seed of the simulation")
    parser.add_argument("--page", type=Path, default=Path("docs/verdicts.md"), help="page to write")
    given = parser.parse_args()
    measurements = {m["study"]: m for m in read_rates()}
    for path in given.studies:
        study = load_study(read_yaml(path, str(path)), Path())
        measurements[study.config.study] = _measured(
            study.config.study, Sizes.of(study), given.simulated, given.seed
        )
        write_rates(list(measurements.values()))
    with replace_atomically(given.page) as page:
        page.write_text(rates_page(list(measurements.values()), CLAIMS), "utf-8")


def _measured(name: str, sizes: Sizes, studies: int, seed: int) -> dict[str, Any]:
    found = rates(sizes, CLAIMS, studies, seed)
    return {
        "study": name,
        "sizes": {**dataclasses.asdict(sizes), "coefficients": list(sizes.coefficients)},
        "registry": DIGEST,
        "rates": {claim: rate._asdict() for claim, rate in found.items()},
    }


if __name__ == "__main__":
    main()
