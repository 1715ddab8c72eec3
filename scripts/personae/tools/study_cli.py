"""``personae estimate``: what a study will cost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def estimate(
    study: Annotated[Path, typer.Argument(help="Study file.")] = Path("config/demo.yaml"),
    measured: Annotated[
        Path | None,
        typer.Option(
            metavar="RESULTS",
            help="Instead, print the rates that this finished study reached, as config/rates.yaml "
            "wants them.",
        ),
    ] = None,
) -> None:
    """Print what a study costs: GPU hours, judge, disk, jobs.

    Example: personae estimate config/paper.yaml
    """
    # Imported here: reading a study takes longer than the library's commands need in all.
    from personae.base.strict_yaml import read_yaml
    from personae.workflow.config import load_study
    from personae.workflow.estimate import estimate_study
    from personae.workflow.estimate.estimate_table import render
    from personae.workflow.estimate.measured_rates import measured_rates

    if measured:
        print(measured_rates(measured))
        return
    content = read_yaml(study, str(study))
    print(render(estimate_study(load_study(content, Path.cwd(), sources=[study]))))
