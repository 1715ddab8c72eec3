"""Draw the features of sparse autoencoders that trait vectors are made of.

From ``vector_features`` of every autoencoder of the model (PV, interpretation).
"""

from collections.abc import Sequence

from personae.data.data_frames import read_frame
from personae.report.plots.features_figure import features
from personae.report.plots.style import save


def main(*, tables: Sequence[str], path_out: str, provenance: dict[str, str]) -> None:
    """Write the figure as SVG."""
    save(features(read_frame(tables, "vector_features")), path_out, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(snakemake, main, tables=list(snakemake.input), path_out=snakemake.output[0])
