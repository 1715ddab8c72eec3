"""Judge every role by an axis that was computed without it, on held-out questions.

Per role at the middle layer: the probability that a rollout of the default Assistant projects
higher than one of the role (AUC) along ``mean(default) - mean(other fully-role vectors)``, with an
interval over questions, shuffled labels and random directions; role ``*`` is the mean over roles
with an interval over roles and questions (AA, Assistant Axis). Columns: those of ``heldout_roles``.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from personae.data import tables
from personae.data.table_values import DEFAULT
from personae.data.vector_columns import from_half
from personae.data.vector_stacks import stack
from personae.science.heldout_roles import AskedRollouts, heldout_role, over_roles
from personae.science.kept_rollouts import count_kept, read_kept
from personae.science.null_directions import null_directions


def main(
    *,
    role_vectors: str,
    kept: Mapping[str, str],
    path_out: str,
    axis: dict[str, Any],
    middle_layer: int,
    seed: int,
    provenance: dict[str, str],
) -> None:
    """Write one row per role and one for all; ``kept`` maps each to its ``kept_activations``."""
    at_layer = [("layer", "==", middle_layer)]
    saved = tables.read(role_vectors, "role_vectors", filters=at_layer)
    vectors = {
        kind: stack(saved.filter(pc.equal(saved["kind"], kind)), "role")
        for kind in ("fully", "default")
    }
    fully = dict(
        zip(vectors["fully"].keys, vectors["fully"].vectors[:, 0].astype(np.float64), strict=True)
    )
    default = vectors["default"].vectors[0, 0].astype(np.float64)
    rollouts, stream = _rollouts(kept, middle_layer, len(default))
    groups = np.repeat(list(rollouts), [len(found.means) for found in rollouts.values()])
    random = np.stack(list(null_directions(stream, groups, seed).values()))
    results = [
        heldout_role(
            role,
            default,
            fully,
            (rollouts[DEFAULT], rollouts[role]),
            random,
            permutations=axis["permutations"],
            seed=seed,
        )
        for role in kept
        if role != DEFAULT
    ]
    rows = [*(result.row for result in results), over_roles(results)]
    table = tables.from_rows([{"layer": middle_layer, **row} for row in rows], "heldout_roles")
    tables.write(table, path_out, "heldout_roles", provenance)


def _rollouts(
    kept: Mapping[str, str], layer: int, hidden: int
) -> tuple[dict[str, AskedRollouts], NDArray[np.float32]]:
    """Return every role's rollouts, and the array ``[n, hidden]`` of which theirs are parts."""
    sizes = {role: count_kept(path, layer, "heldout") for role, path in kept.items()}
    stream = np.empty((sum(sizes.values()), hidden), dtype=np.float32)
    rollouts, end = {}, 0
    for role, path in kept.items():
        found = read_kept(path, layer, "heldout")
        part = stream[end : end + sizes[role]]
        part[:] = from_half(found)
        rollouts[role] = AskedRollouts(part, found["question_id"].to_numpy(zero_copy_only=False))
        end += sizes[role]
    return rollouts, stream


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        role_vectors=snakemake.input.role_vectors,
        kept=dict(zip(snakemake.params.roles, snakemake.input.kept, strict=True)),
        path_out=snakemake.output[0],
        axis=snakemake.params.axis,
        middle_layer=snakemake.params.middle_layer,
        seed=snakemake.params.seed,
    )
