"""Draw the geometry of trait vectors, from ``trait_pair_cosines`` and ``trait_positions`` (PV)."""

from personae.data.data_frames import read_frame
from personae.report.plots.style import nothing_kept, save
from personae.report.plots.trait_positions_figure import trait_positions


def main(*, pairs: str, positions: str, path_out: str, provenance: dict[str, str]) -> None:
    """Write the figure."""
    cosines = read_frame(pairs, "trait_pair_cosines")
    places = read_frame(positions, "trait_positions")
    empty = nothing_kept("Geometry of trait vectors")
    save(empty if places.empty else trait_positions(cosines, places), path_out, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        pairs=snakemake.input.pairs,
        positions=snakemake.input.positions,
        path_out=snakemake.output[0],
    )
