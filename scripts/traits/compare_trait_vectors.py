"""Compare the trait vectors with each other and with the Assistant Axis.

Cosines per layer between the response-mean vectors of all traits and the axis (PV, geometry): a
trait with a negative cosine to ``assistant_axis`` leads away from the default Assistant. A trait
that the filter dropped is left out. Columns: those of ``cosines``.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from personae.data import tables
from personae.data.vector_stacks import stack
from personae.science.geometry import cosine_matrix
from personae.science.steering_arms import steering_vectors


def main(
    *, vectors: Sequence[str], directions: str, path_out: str, provenance: dict[str, str]
) -> None:
    """Write one row per layer and ordered pair."""
    gathered = tables.assemble(
        [tables.read(path, "trait_vectors") for path in vectors], "trait_vectors"
    )
    traits = steering_vectors(gathered)
    axis = stack(tables.read(directions, "directions"), "direction").select(["axis"])
    family = np.concatenate([traits.vectors, axis.vectors]) if traits.keys else axis.vectors
    names = [*traits.keys, "assistant_axis"]
    cosines = cosine_matrix(family, family)
    n, n_layers = len(names), len(axis.layers)
    table = pa.table(
        {
            "layer": np.repeat(axis.layers, n * n),
            "left": np.tile(np.repeat(names, n), n_layers),
            "right": np.tile(names, n * n_layers),
            "cosine": cosines.reshape(-1),
        }
    )
    tables.write(tables.assemble([table], "cosines"), path_out, "cosines", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        vectors=list(snakemake.input.vectors),
        directions=snakemake.input.directions,
        path_out=snakemake.output[0],
    )
