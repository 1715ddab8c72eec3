"""Generate responses under prompts that bring one trait out more or less strongly.

Every graded system prompt and every number of example exchanges x evaluation question x sample is
one rollout (PV, monitoring). Columns: those of ``monitored_responses``.
"""

from typing import Any

from personae.api.requests import Sampling
from personae.data import tables
from personae.inference.client import EngineClient
from personae.rollouts.monitored_rollouts import monitoring_rollouts
from personae.rollouts.responses import generate_responses


def main(
    *,
    rollouts: dict[str, Any],
    path_out: str,
    engine: EngineClient,
    provenance: dict[str, str],
) -> None:
    """Write one row per rollout, with token ids, seed and finish reason."""
    sampling = Sampling(**rollouts.pop("sampling"))
    asked = monitoring_rollouts(**rollouts)
    table = generate_responses(engine, asked, sampling, "monitored_responses")
    tables.write(table, path_out, "monitored_responses", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_model_node

    run_model_node(
        snakemake,
        main,
        rollouts=dict(snakemake.params.rollouts),
        path_out=snakemake.output[0],
    )
