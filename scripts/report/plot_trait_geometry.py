"""Draw the cosines between trait vectors, and with the Assistant Axis at every layer.

From ``cosines`` of the traits stage, with the nulls of ``trait_pair_cosines`` and
``trait_positions`` (PV, geometry).
"""

from personae.data.data_frames import read_frame
from personae.report.plots.heat_map import trait_geometry
from personae.report.plots.style import save


def main(
    *,
    cosines: str,
    pairs: str,
    positions: str,
    path_out: str,
    middle_layer: int,
    provenance: dict[str, str],
) -> None:
    """Write the figure; ``middle_layer`` counts from 0."""
    drawn = trait_geometry(
        read_frame(cosines, "cosines"),
        read_frame(pairs, "trait_pair_cosines"),
        read_frame(positions, "trait_positions"),
        middle_layer=middle_layer,
    )
    save(drawn, path_out, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        cosines=snakemake.input.cosines,
        pairs=snakemake.input.pairs,
        positions=snakemake.input.positions,
        path_out=snakemake.output[0],
        middle_layer=snakemake.params.middle_layer,
    )
