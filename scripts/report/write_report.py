"""Write the report of a study: one self-contained page, scorecard first.

Figures bring their own title and finding; transcripts, counts and provenance come from the tables,
times from the benchmark files beside them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from personae.base.atomic_files import replace_atomically
from personae.report.assemble import ReportSettings, assemble
from personae.report.page import render


def main(
    *,
    inputs: Mapping[str, Sequence[str]],
    path_out: str,
    benchmarks: Sequence[Path],
    settings: Mapping[str, Any],
    provenance: dict[str, str],
) -> None:
    """Write the page; ``inputs`` hold the files of all models by name."""
    target = Path(path_out)
    report = assemble(inputs, target.parent, benchmarks, ReportSettings(**settings), provenance)
    with replace_atomically(target) as partial:
        partial.write_text(
            render(report, inputs["page"][0], inputs["style"][0], inputs["scripts"]), "utf-8"
        )


if __name__ == "__main__":
    from personae.workflow.node import run_node

    study_folder = Path(snakemake.output[0]).parent
    models = snakemake.params.settings["models"]
    run_node(
        snakemake,
        main,
        inputs={
            name: [files] if isinstance(files, str) else list(files)
            for name, files in snakemake.input.items()
        },
        path_out=snakemake.output[0],
        benchmarks=[
            study_folder / "benchmarks",
            *(study_folder / model / "benchmarks" for model in models),
            *(Path("results/models", model, "benchmarks") for model in models),
        ],
        settings={
            **snakemake.params.settings,
            "fewer_than_asked": list(snakemake.params.fewer_than_asked),
        },
    )
