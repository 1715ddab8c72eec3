"""Compare the trait space with the Assistant Axis at the middle layer.

``trait_space_cosines``: cosine of every trait vector with the axis, an interval over folds of the
questions, and a null that respects the anisotropy of the residual stream.
``trait_space_components``: PCA of the trait vectors (mean-subtracted only) and |cos| of each
component with the axis. ``trait_space_plane``: roles and traits in the plane of the axis and the
first component (AA, trait space). Without three traits, or two questions,
the tables have no rows.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow.compute as pc

from personae.data import tables
from personae.data.vector_stacks import stack
from personae.science.space_sums import read_space_sums
from personae.science.trait_space_alignment import (
    component_table,
    components,
    cosine_table,
    is_space,
    plane_table,
)

LOG = logging.getLogger("personae")


def main(
    *,
    sums: Sequence[str],
    directions: str,
    role_vectors: str,
    paths_out: Mapping[str, str],
    axis: Mapping[str, Any],
    middle_layer: int,
    seed: int,
    provenance: dict[str, str],
) -> None:
    """Write the three tables."""
    at_layer = [("layer", "==", middle_layer)]
    found = read_space_sums(sums, middle_layer)
    known = stack(tables.read(directions, "directions", filters=at_layer), "direction")
    direction = known.select(["axis"]).vectors[0, 0].astype(np.float64)
    if not is_space(found):
        LOG.warning(
            "the filter keeps %d traits; a trait space needs 3, and 2 questions", len(found.traits)
        )
        results = {name: tables.assemble([], name) for name in paths_out}
    else:
        saved = tables.read(role_vectors, "role_vectors", filters=at_layer)
        roles = stack(saved.filter(pc.equal(saved["kind"], "fully")), "role")
        of_roles = roles.vectors[:, 0].astype(np.float64)
        asked = {"permutations": axis["permutations"], "seed": seed}
        rows, basis = components(found, direction, **asked)
        families = {
            "role": (roles.keys, of_roles - of_roles.mean(axis=0)),
            "trait": (found.traits, found.vectors),
        }
        results = {
            "trait_space_cosines": cosine_table(found, direction, layer=middle_layer, **asked),
            "trait_space_components": component_table(
                rows, layer=middle_layer, n_traits=len(found.traits)
            ),
            "trait_space_plane": plane_table(families, direction, basis[0], layer=middle_layer),
        }
    for name, table in results.items():
        tables.write(table, paths_out[name], name, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        sums=list(snakemake.input.sums),
        directions=snakemake.input.directions,
        role_vectors=snakemake.input.role_vectors,
        paths_out={
            "trait_space_cosines": snakemake.output.cosines,
            "trait_space_components": snakemake.output.components,
            "trait_space_plane": snakemake.output.plane,
        },
        axis=snakemake.params.axis,
        middle_layer=snakemake.params.middle_layer,
        seed=snakemake.params.seed,
    )
