"""Extract the activations of one role: the mean residual stream over each response.

All layers come from one forward pass per rollout, from the token ids saved at generation, and
means are accumulated in float32. Columns: those of ``activations``.
"""

from personae.data import tables
from personae.data.table_values import ROLE_SPANS
from personae.inference.client import EngineClient
from personae.rollouts.extraction import extract_activations


def main(
    *, responses: str, path_out: str, engine: EngineClient, provenance: dict[str, str]
) -> None:
    """Write one row per rollout, span and layer."""
    table = tables.read(responses, "role_responses")
    activations = extract_activations(engine, table, ROLE_SPANS)
    tables.write(activations, path_out, "activations", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_model_node

    run_model_node(
        snakemake, main, responses=snakemake.input.responses, path_out=snakemake.output[0]
    )
