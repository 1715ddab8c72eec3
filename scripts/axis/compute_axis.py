"""Compute the Assistant Axis and the random directions that it is compared with.

``axis = mean(default) - mean(fully-role vectors)`` per layer, pointing toward the default
Assistant (AA, Assistant Axis). The integrity column is the cosine with the axis recomputed from
the vectors as saved. ``random<i>`` has the axis' length at every layer. Columns: those of
``directions``; ``role_vectors`` gathers the vectors of all roles.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from personae.base.errors import PersonaeError
from personae.data import tables
from personae.data.vector_stacks import Stack, of_span, stack, vector_rows
from personae.science.projection import mean_norm
from personae.science.reliability import random_direction
from personae.science.vectors import assistant_axis, check_axis


def main(
    *,
    vectors: Sequence[str],
    default: str,
    path_directions: str,
    path_role_vectors: str,
    random_directions: int,
    seed: int,
    provenance: dict[str, str],
) -> None:
    """Write the directions and the gathered role vectors."""
    gathered = tables.assemble([tables.read(p, "role_vectors") for p in vectors], "role_vectors")
    tables.write(gathered, path_role_vectors, "role_vectors", provenance)

    saved = tables.read(path_role_vectors, "role_vectors")
    roles, assistant = of_kind(saved, "fully"), of_kind(saved, "default")
    if len(roles.keys) < 2:
        raise PersonaeError(
            f"{path_role_vectors}: {len(roles.keys)} roles have a fully-role vector, at least 2 "
            "are needed for an axis; lower roles.min_fully or generate more rollouts"
        )
    axis = assistant_axis(assistant.vectors[0].astype(np.float64), roles.vectors)
    integrity = check_axis(
        axis.astype(np.float32), assistant.vectors[0].astype(np.float64), roles.vectors
    )
    rollouts = stack(of_span(tables.read(default, "activations"), "response_mean"), "response_id")
    families = {"axis": axis}
    for i in range(random_directions):
        families[f"random{i}"] = random_direction(axis, seed + i)
    residual = mean_norm(rollouts.vectors)
    counts = (len(roles.keys), len(rollouts.keys))
    parts = [
        _rows(name, family, roles.layers, residual, integrity if name == "axis" else None, counts)
        for name, family in families.items()
    ]
    tables.write(tables.assemble(parts, "directions"), path_directions, "directions", provenance)


def of_kind(table: pa.Table, kind: str) -> Stack:
    """Return the role vectors of one kind."""
    return stack(table.filter(pc.equal(table["kind"], kind)), "role")


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
        path_directions=snakemake.output.directions,
        path_role_vectors=snakemake.output.role_vectors,
        random_directions=snakemake.params.random_directions,
        seed=snakemake.params.seed,
    )
