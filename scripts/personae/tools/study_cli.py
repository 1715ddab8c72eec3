"""``personae estimate``: what a study will cost."""

from __future__ import annotations

from collections import Counter
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
    """Print what the rest of a study costs: GPU hours, judge, disk, jobs.

    Nodes whose tables were made by the present code are not counted. A dry run of Snakemake
    compares the configuration as well, and prints the same table for what it would run.

    Example: personae estimate config/paper.yaml
    """
    # Imported here: reading a study takes longer than the library's commands need in all.
    from personae.base.strict_yaml import read_yaml
    from personae.workflow.config import load_study
    from personae.workflow.estimate import estimate_study
    from personae.workflow.estimate.estimate_table import render
    from personae.workflow.estimate.measured_rates import measured_rates
    from personae.workflow.estimate.nodes_left import nodes_left
    from personae.workflow.progress.run_figures import wall_clock

    if measured:
        print(measured_rates(measured))
        return
    content = read_yaml(study, str(study))
    whole = load_study(content, Path.cwd(), sources=[study])
    left = nodes_left(whole, Path.cwd())
    print(render(estimate_study(whole, left=left)))
    print(wall_clock(whole, Counter(key.partition(" ")[0] for key in left)))
