"""Project the last prompt token of every monitored rollout on its trait vector.

The token precedes the response, so the projection predicts it (PV, monitoring). ``<h, u>`` with
``u`` the unit response-mean vector of the same layer, toward the trait. Columns: those of
``prompt_projections``.
"""

import numpy as np
import pyarrow as pa

from personae.data import tables
from personae.data.vector_stacks import stack
from personae.inference.client import EngineClient
from personae.rollouts.extraction import activation_table, last_prompt_rows
from personae.science.projection import project
from personae.science.steering_arms import steering_vectors


def main(
    *,
    responses: str,
    vectors: str,
    path_out: str,
    engine: EngineClient,
    provenance: dict[str, str],
) -> None:
    """Write one row per rollout and layer."""
    family = tables.read(vectors, "trait_vectors")
    if not family.num_rows:  # the filter dropped the trait
        empty = tables.from_rows([], "prompt_projections")
        tables.write(empty, path_out, "prompt_projections", provenance)
        return
    rows = last_prompt_rows(tables.read(responses, "monitored_responses"))
    found = stack(activation_table(engine.activations(rows)), "response_id")
    values = project(found.vectors, steering_vectors(family).vectors[0])
    table = pa.table(
        {
            "response_id": np.repeat(found.keys, len(found.layers)),
            "layer": np.tile(np.asarray(found.layers, dtype=np.int16), len(found.keys)),
            "projection": values.reshape(-1),
        }
    )
    tables.write(
        tables.assemble([table], "prompt_projections"), path_out, "prompt_projections", provenance
    )


if __name__ == "__main__":
    from personae.workflow.node import run_model_node

    run_model_node(
        snakemake,
        main,
        responses=snakemake.input.responses,
        vectors=snakemake.input.vectors,
        path_out=snakemake.output[0],
    )
