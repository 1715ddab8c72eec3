"""Print what a study costs: ``python -m personae.workflow.estimate config/paper.yaml``.

``--measured results/demo`` prints the rates that a finished study reached, as ``config/rates.yaml``
wants them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from personae.base.errors import PersonaeError


def main(arguments: list[str]) -> None:
    """Print the table, or the measured rates; end with one line and status 1 on bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m personae.workflow.estimate", description=__doc__
    )
    parser.add_argument("study", nargs="?", default="config/demo.yaml", help="study file")
    parser.add_argument("--measured", type=Path, metavar="RESULTS", help="results of a study")
    options = parser.parse_args(arguments)
    try:
        if options.measured:
            from personae.workflow.estimate.measured_rates import measured_rates

            print(measured_rates(options.measured))
            return
        from personae.base.strict_yaml import read_yaml
        from personae.workflow.config import load_study
        from personae.workflow.estimate import estimate_study
        from personae.workflow.estimate.estimate_table import render

        content = read_yaml(Path(options.study), options.study)
        study = load_study(content, Path.cwd(), sources=[options.study])
        print(render(estimate_study(study)))
    except PersonaeError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
