"""Draw how alike a model's persona space is to that of the study's other models.

From ``model_comparison`` (AA, persona space).
"""

from personae.data.data_frames import read_frame
from personae.report.plots.model_comparison_figure import model_comparison
from personae.report.plots.style import save


def main(*, table: str, model: str, path_out: str, provenance: dict[str, str]) -> None:
    """Write the figure as SVG."""
    save(model_comparison(read_frame(table, "model_comparison"), model), path_out, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        table=snakemake.input[0],
        model=snakemake.wildcards.model,
        path_out=snakemake.output[0],
    )
