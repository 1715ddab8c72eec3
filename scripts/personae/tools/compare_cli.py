"""``personae compare``: do two results folders of one study agree?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    left: Annotated[Path, typer.Argument(help="Results of a study, such as results/demo.")],
    right: Annotated[Path, typer.Argument(help="Results of the same study from another run.")],
    other: Annotated[
        bool,
        typer.Option(
            "--other",
            help="The runs used another dtype, device or library: vectors and claims must agree "
            "within sampling error instead of every table being the same.",
        ),
    ] = False,
    shown: Annotated[int, typer.Option(min=0, help="Differences to print.")] = 20,
) -> None:
    """Say whether two results folders agree; the exit status is 1 if they do not.

    Example: personae compare results/demo ../rerun/results/demo
    """
    from personae.report.study_comparison import compare as compared
    from personae.report.study_comparison import verdict

    found = compared(left, right, "other" if other else "same")
    sentence, agrees = verdict(found)
    for difference in sorted(found, key=lambda d: d.agrees)[:shown]:
        mark = "  " if difference.agrees else "! "
        print(f"{mark}{difference.part}: {difference.place}: {difference.words}")
    if len(found) > shown:
        print(f"  ... and {len(found) - shown} more")
    print(sentence)
    raise typer.Exit(0 if agrees else 1)
