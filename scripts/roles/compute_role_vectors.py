"""Average one role's extraction rollouts by judge score, and keep what later nodes use of them.

Kinds: ``fully`` (score 3) and ``somewhat`` (score 2), however few rollouts there are; for the
default Assistant the single kind ``default``, the mean of all its rollouts (AA, role vectors).
Vectors are plain means: no direction is implied. ``n`` responses are in a mean; ``n_unscored`` ones
of the role have no score and are in none. Beside the vectors: sums by kind and fold of the
questions, and single rollouts in float16 (a sample at all layers, all of them at a few). Tables:
``role_vectors``, ``activation_sums``, ``kept_activations``.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from personae.base.errors import PersonaeError
from personae.data import tables
from personae.data.table_values import ROLE_SPANS
from personae.rollouts.activation_reading import activation_blocks
from personae.science.activation_sums import CellSums, sums_table
from personae.science.kept_rollouts import KeptRollouts, spread_over
from personae.science.role_rollouts import load_role, vector_table

if TYPE_CHECKING:
    from personae.inference.client import EngineClient


def main(
    *,
    role: str,
    responses: str,
    scores: str | None,
    activations: str | None,
    paths_out: Mapping[str, str],
    keep: Mapping[str, Any],
    max_unscored: float,
    engine: "EngineClient | None",
    provenance: dict[str, str],
) -> None:
    """Write the three tables; a kind without rollouts has no rows.

    ``keep`` says how many ``folds`` of the questions are told apart, how many rollouts are
    ``sampled``, and at which ``layers`` all are kept.
    """
    rollouts = load_role(role, responses, scores, max_unscored)
    cell_of, extraction = rollouts.cells(keep["folds"]), rollouts.extraction
    if not extraction:
        raise PersonaeError(f"{responses}: no rollout on an extraction question has a response")
    cells = sorted(set(cell_of.values()))
    summed = CellSums({key: cells.index(cell) for key, cell in cell_of.items()}, len(cells))
    kept = KeptRollouts(
        rollouts.kinds,
        rollouts.questions,
        rollouts.splits,
        spread_over(extraction, keep["sampled"]),
        set(keep["layers"]),
    )
    for block in activation_blocks(
        responses, "role_responses", activations, engine, spans=ROLE_SPANS
    ):
        summed.add(block)
        kept.add(block)
    sums = summed.sums()
    made = {
        "role_vectors": vector_table(rollouts, cells, sums),
        "activation_sums": sums_table(cells, sums),
        "kept_activations": kept.table(),
    }
    for name, table in made.items():
        tables.write(table, paths_out[name], name, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_reading_node

    run_reading_node(
        snakemake,
        main,
        role=snakemake.wildcards.role,
        responses=snakemake.input.responses,
        scores=snakemake.input.get("scores") or None,
        activations=snakemake.input.get("activations") or None,
        paths_out={
            "role_vectors": snakemake.output.vectors,
            "activation_sums": snakemake.output.sums,
            "kept_activations": snakemake.output.kept,
        },
        keep=snakemake.params.keep,
        max_unscored=snakemake.params.max_unscored,
    )
