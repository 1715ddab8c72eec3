"""Draw the pictures of the documentation anew: `make pictures`.

``persona_space.png`` is drawn from the tables of a finished study, ``rulegraph.png`` from
Snakemake's graph of the rules, which is read from standard input and needs graphviz.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import matplotlib as mpl
import typer

from personae.base.atomic_files import replace_atomically
from personae.base.errors import PersonaeError
from personae.base.strict_yaml import read_yaml
from personae.data.data_frames import read_frame
from personae.report.plots.persona_space_figure import persona_space
from personae.report.plots.style import THEME
from personae.workflow.config import load_study

_DPI = 110


def draw_persona_space(study_file: Path, root: Path, target: Path) -> None:
    """Draw the persona space of a finished study's first model as PNG."""
    study = load_study(read_yaml(study_file), root)
    model = study.model_names[0]
    folder = root / "results" / study.config.study / model / "axis"
    layer = study.models[model].middle_layer
    assert layer is not None  # every chat model has one
    at_layer = [("layer", "==", layer)]
    paths = [folder / f"space_{name}.parquet" for name in ("coordinates", "components")]
    if missing := [str(path) for path in paths if not path.exists()]:
        raise PersonaeError(f"{missing[0]}: not there; run the study {study_file} first")
    drawn = persona_space(
        read_frame([str(paths[0])], "space_coordinates", filters=at_layer),
        read_frame([str(paths[1])], "space_components", filters=at_layer),
        middle_layer=layer,
        variance_threshold=study.config.axis.variance_threshold,
    )
    with mpl.rc_context(THEME), replace_atomically(target) as partial:
        drawn.figure.savefig(partial, format="png", dpi=_DPI)


def draw_rule_graph(graph: str, target: Path) -> None:
    """Lay out Snakemake's graph of rules as PNG."""
    if shutil.which("dot") is None:
        raise PersonaeError("dot is not installed; on Debian or Ubuntu: apt-get install graphviz")
    size = ["-Gsize=16,40", f"-Gdpi={_DPI}", "-Gnodesep=0.15", "-Granksep=0.35"]
    done = subprocess.run(
        ["dot", "-Tpng", *size], input=graph.encode(), capture_output=True, check=False
    )
    if done.returncode:
        raise PersonaeError(f"dot: {done.stderr.decode(errors='replace').strip()}")
    with replace_atomically(target) as partial:
        partial.write_bytes(done.stdout)


def main(
    study: Annotated[Path, typer.Argument(help="File of a study that has run.")],
    folder: Annotated[Path, typer.Argument(help="Where the pictures go.")] = Path("docs"),
) -> None:
    """Draw both pictures; the graph of the rules comes from standard input."""
    try:
        draw_persona_space(study, Path.cwd(), folder / "persona_space.png")
        draw_rule_graph(sys.stdin.read(), folder / "rulegraph.png")
    except PersonaeError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


if __name__ == "__main__":
    typer.run(main)
