"""Compute the Assistant Axis and the random directions that it is compared with.

``axis = mean(default) - mean(fully-role vectors)`` per layer, pointing toward the default
Assistant (AA, Assistant Axis). The integrity column is the cosine with the axis recomputed from
the vectors as saved. ``random<i>`` has the axis' length at every layer. Columns: those of
``directions``; ``role_vectors`` gathers the vectors of all roles.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from personae.data import tables
from personae.data.vector_stacks import vector_rows
from personae.science.activation_sums import read_sums
from personae.science.axis_at_layer import axis_at_layer
from personae.science.reliability import random_direction


def main(
    *,
    vectors: Sequence[str],
    default: str,
    least: Mapping[str, int],
    path_directions: str,
    path_role_vectors: str,
    random_directions: int,
    seed: int,
    provenance: dict[str, str],
) -> None:
    """Write the directions and the gathered role vectors.

    ``default`` are the sums of the default Assistant's rollouts; ``least`` is the fewest rollouts
    of each kind that make a role vector.
    """
    parts = [enough(tables.read(path, "role_vectors"), least) for path in vectors]
    gathered = tables.assemble(parts, "role_vectors")
    tables.write(gathered, path_role_vectors, "role_vectors", provenance)

    del parts, gathered
    layers = np.unique(tables.read(path_role_vectors, "role_vectors", ["layer"])["layer"])
    found = [axis_at_layer(path_role_vectors, layer) for layer in layers.tolist()]
    axis, integrity = (np.concatenate(rows) for rows in zip(*(f[:2] for f in found), strict=True))
    _, rollouts = read_sums(default)
    families = {"axis": axis}
    for i in range(random_directions):
        families[f"random{i}"] = random_direction(axis, seed + i)
    # ASSUME: the unit of steering along the axis is the mean length of response means; the mean
    # length over tokens is somewhat larger.
    residual = rollouts.mean_length
    counts = (found[0].n_roles, int(rollouts.counts.sum()))
    rows = [
        _rows(
            name, family, layers.tolist(), residual, integrity if name == "axis" else None, counts
        )
        for name, family in families.items()
    ]
    tables.write(tables.assemble(rows, "directions"), path_directions, "directions", provenance)


def enough(vectors: pa.Table, least: Mapping[str, int]) -> pa.Table:
    """Keep the vectors that are means of enough rollouts (AA, role vectors)."""
    needed = [least.get(kind, 1) for kind in vectors["kind"].to_pylist()]
    return vectors.filter(pc.greater_equal(vectors["n"], pa.array(needed, pa.int32())))


def _rows(
    name: str,
    vectors: np.ndarray,
    layers: list[int],
    residual: np.ndarray,
    integrity: np.ndarray | None,
    counts: tuple[int, int],
) -> pa.Table:
    n = len(layers)
    return pa.table(
        {
            "direction": [name] * n,
            "norm": np.linalg.norm(vectors, axis=-1),
            "residual_norm": residual,
            "n_roles": pa.array([counts[0]] * n, pa.int32()),
            "n_default": pa.array([counts[1]] * n, pa.int32()),
            "integrity": pa.array(integrity if integrity is not None else [None] * n, pa.float64()),
            **vector_rows(vectors, layers),
        }
    )


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        vectors=list(snakemake.input.vectors),
        default=snakemake.input.default,
        least=snakemake.params.least,
        path_directions=snakemake.output.directions,
        path_role_vectors=snakemake.output.role_vectors,
        random_directions=snakemake.params.random_directions,
        seed=snakemake.params.seed,
    )
