"""Correlate the first turn's projection on the axis with the harm of the second turn.

At the middle layer, along the axis and random directions: over first turns, over the means of
roles, and within roles, with intervals over roles and permutation nulls (AA, persona drift: harm
link). Columns: those of ``harm_link_points`` and ``harm_link``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from personae.data import tables
from personae.science.harm_link import link_points, link_table


def main(
    *,
    responses: str,
    scores: str,
    projections: Sequence[str],
    path_points: str,
    path_link: str,
    axis: Mapping[str, Any],
    middle_layer: int,
    seed: int,
    provenance: dict[str, str],
) -> None:
    """Write one row per judge, direction and first turn, and one per correlation."""
    at_middle = [("layer", "==", middle_layer), ("split", "==", "heldout")]
    projected = [tables.read(path, "projections", filters=at_middle) for path in projections]
    points = link_points(
        tables.read(responses, "harm_link_responses"),
        tables.read(scores, "scores"),
        pa.concat_tables(projected),
    )
    tables.write(points, path_points, "harm_link_points", provenance)
    link = link_table(points, permutations=axis["permutations"], seed=seed)
    tables.write(link, path_link, "harm_link", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        responses=snakemake.input.responses,
        scores=snakemake.input.scores,
        projections=list(snakemake.input.projections),
        path_points=snakemake.output.points,
        path_link=snakemake.output.link,
        axis=snakemake.params.axis,
        middle_layer=snakemake.params.middle_layer,
        seed=snakemake.params.seed,
    )
