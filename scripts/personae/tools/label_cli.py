"""``personae label``: people's labels of a blinded sample of a study's responses."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from personae.base.errors import PersonaeError


def label(
    folder: Annotated[Path, typer.Argument(help="Results of a study, such as results/demo.")],
    model: Annotated[str | None, typer.Option(help="Model, where the study has several.")] = None,
    size: Annotated[int, typer.Option(min=1, help="Responses in the sample.")] = 60,
    seed: Annotated[int, typer.Option(help="Seed of the sample.")] = 0,
    out: Annotated[Path, typer.Option(help="Page to write.")] = Path("label.html"),
    read: Annotated[
        Path | None, typer.Option(help="labels.json that the page saved: read it instead.")
    ] = None,
) -> None:
    """Write a page for labelling a sample of responses, or read the labels that it saved.

    The page shows neither arm nor judge, works without a network and by the keyboard. Read back,
    the labels are a judge like any other (people.parquet), and correct the judged means.

    Example: personae label results/demo

    Example: personae label results/demo --read labels.json
    """
    from personae.report.label_page.label_sample import draw_sample, judged_responses
    from personae.report.label_page.read_labels import labelled_arms, read_labels, write_scores
    from personae.report.label_page.write_label_page import write_label_page

    chosen = model or _only_model(folder)
    responses = judged_responses(folder, chosen)
    sample = draw_sample(responses, size, seed)
    if read is None:
        write_label_page(sample, folder.name, out)
        print(f"{out}: {len(sample)} responses; open it, label, save, then read labels.json back")
        return
    labelled = read_labels(read, sample)
    write_scores(labelled, folder / chosen / "judging" / "people.parquet")
    print("arm, rubric: judged mean; corrected by labels [95%]; kappa; labelled of all")
    for arm in labelled_arms(responses, labelled):
        low, high = arm.corrected.low, arm.corrected.high
        print(
            f"{arm.arm}, {arm.rubric}: {arm.raw:.2f}; {arm.corrected.estimate:.2f} [{low:.2f}, "
            f"{high:.2f}]; {arm.kappa:.2f}; {arm.n_labelled} of {arm.n}"
        )


def _only_model(folder: Path) -> str:
    models = sorted(path.parent.name for path in folder.glob("*/roles") if path.is_dir())
    if len(models) != 1:
        found = ", ".join(models) or "none"
        raise PersonaeError(f"{folder}: models found: {found}; name one with --model")
    return models[0]
