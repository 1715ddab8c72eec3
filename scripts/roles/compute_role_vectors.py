"""Average one role's extraction rollouts by judge score.

Kinds: ``fully`` (score 3) and ``somewhat`` (score 2), each only with enough rollouts; for the
default Assistant the single kind ``default``, the mean of all its rollouts (AA, role vectors).
Vectors are plain means: no direction is implied. ``n`` responses are in a mean; ``n_unscored`` ones
of the role have no score and are in none. Columns: those of ``role_vectors``.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from personae.data import tables
from personae.data.judge_scores import check_unscored, primary_scores
from personae.data.matching_ids import answered, check_ids
from personae.data.table_values import DEFAULT
from personae.data.vector_stacks import Stack, stack, vector_rows
from personae.science.vectors import mean_activation, role_vectors


def main(
    *,
    role: str,
    responses: str,
    scores: str | None,
    activations: str,
    path_out: str,
    min_fully: int,
    min_somewhat: int,
    max_unscored: float,
    provenance: dict[str, str],
) -> None:
    """Write one row per kind and layer; a kind with too few rollouts has no rows."""
    rollouts = tables.read(responses, "role_responses", ["response_id", "split", "response_ids"])
    extraction = rollouts.filter(pc.equal(rollouts["split"], "extraction"))
    data = stack(tables.read(activations, "activations"), "response_id")
    check_ids(activations, data.keys, answered(rollouts), responses)
    kept = answered(extraction)
    data = data.select(kept)
    unscored = 0
    if role == DEFAULT:
        families = {"default": (mean_activation(data.vectors), len(kept))}
    else:
        judged = primary_scores(tables.read(scores, "scores"), "role_adherence")
        check_ids(scores, judged, rollouts["response_id"].to_pylist(), responses)
        check_unscored(judged, max_unscored, scores)
        families, unscored = _by_score(data, judged, min_fully, min_somewhat)
    table = _table(role, families, unscored, data.layers)
    tables.write(table, path_out, "role_vectors", provenance)


def _by_score(
    data: Stack, judged: dict[str, float], min_fully: int, min_somewhat: int
) -> tuple[dict[str, tuple[np.ndarray, int]], int]:
    scores = [judged[key] for key in data.keys]
    result = role_vectors(data.vectors, scores, min_fully=min_fully, min_somewhat=min_somewhat)
    families = {
        "fully": (result.fully, result.n_fully),
        "somewhat": (result.somewhat, result.n_somewhat),
    }
    found = {kind: (v, n) for kind, (v, n) in families.items() if v is not None}
    return found, result.n_unscored


def _table(
    role: str, families: dict[str, tuple[np.ndarray, int]], unscored: int, layers: list[int]
) -> pa.Table:
    parts = [
        pa.table(
            {
                "role": pa.array([role] * len(layers)),
                "kind": pa.array([kind] * len(layers)),
                "n": pa.array([n] * len(layers), pa.int32()),
                "n_unscored": pa.array([unscored] * len(layers), pa.int32()),
                **vector_rows(vectors, layers),
            }
        )
        for kind, (vectors, n) in families.items()
    ]
    return tables.assemble(parts, "role_vectors")


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        role=snakemake.wildcards.role,
        responses=snakemake.input.responses,
        scores=snakemake.input.get("scores") or None,
        activations=snakemake.input.activations,
        path_out=snakemake.output[0],
        min_fully=snakemake.params.min_fully,
        min_somewhat=snakemake.params.min_somewhat,
        max_unscored=snakemake.params.max_unscored,
    )
