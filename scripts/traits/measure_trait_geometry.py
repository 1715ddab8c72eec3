"""Hold cosines of trait vectors against random contrasts of roles (PV, geometry).

At the middle layer. Tables: ``trait_pair_cosines`` (every pair of traits, with a null that respects
the residual stream's anisotropy) and ``trait_positions`` (each trait against the axis and the space
of roles).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from personae.data import tables
from personae.data.vector_columns import to_matrix
from personae.data.vector_stacks import stack
from personae.science.steering_arms import VARIANT
from personae.science.trait_geometry import (
    CONTRASTS,
    pair_rows,
    position_rows,
    random_contrasts,
)

_FEWEST = 4  # role vectors that can be divided at random


def main(
    *,
    vectors: Sequence[str],
    directions: str,
    roles: str,
    middle_layer: int,
    seed: int,
    paths_out: Mapping[str, str],
    provenance: dict[str, str],
) -> None:
    """Write both tables; they are empty where there are no traits or too few role vectors."""
    at = [("layer", "==", middle_layer)]
    kept = {}
    for path in vectors:
        table = tables.read(path, "trait_vectors", filters=[*at, ("variant", "==", VARIANT)])
        if table.num_rows:
            name = table["trait"][0].as_py()
            kept[name] = to_matrix(table["vector"])[0].astype(np.float64)
    axis = stack(tables.read(directions, "directions", filters=at), "direction").select(["axis"])
    found = to_matrix(tables.read(roles, "role_vectors", filters=at)["vector"]).astype(np.float64)
    pairs, positions = [], []
    if kept and len(found) >= _FEWEST:
        contrasts = random_contrasts(found, 2 * CONTRASTS, seed)
        pairs = pair_rows(kept, contrasts, middle_layer)
        toward = axis.vectors[0][0].astype(np.float64)
        positions = position_rows(kept, toward, found, contrasts, middle_layer)
    made = {"trait_pair_cosines": pairs, "trait_positions": positions}
    for kind, rows in made.items():
        tables.write(tables.from_rows(rows, kind), paths_out[kind], kind, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        vectors=list(snakemake.input.vectors),
        directions=snakemake.input.directions,
        roles=snakemake.input.roles,
        middle_layer=snakemake.params.middle_layer,
        seed=snakemake.params.seed,
        paths_out={
            "trait_pair_cosines": snakemake.output.pairs,
            "trait_positions": snakemake.output.positions,
        },
    )
