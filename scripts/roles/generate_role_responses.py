"""Generate the responses of one role, or of the default Assistant.

Every system prompt x question x sample is one rollout; extraction and held-out questions are kept
apart by the column ``split`` (AA, rollouts). Columns: those of ``role_responses``.
"""

from collections.abc import Mapping
from typing import Any

from personae.api.requests import Sampling
from personae.data import tables
from personae.inference.client import EngineClient
from personae.rollouts.persona_rollouts import role_rollouts
from personae.rollouts.responses import plain_responses


def main(
    *,
    rollouts: dict[str, Any],
    generator: Mapping[str, Any] | None,
    config: Mapping[str, Any],
    path_out: str,
    engine: EngineClient,
    provenance: dict[str, str],
) -> None:
    """Write one row per rollout, with token ids, seed and finish reason."""
    sampling = Sampling(**rollouts.pop("sampling"))
    rows = role_rollouts(**rollouts)
    table = plain_responses(engine, rows, sampling, "role_responses", generator, config)
    tables.write(table, path_out, "role_responses", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_model_node

    run_model_node(
        snakemake,
        main,
        rollouts=dict(snakemake.params.rollouts),
        generator=snakemake.params.generator,
        config=snakemake.config,
        path_out=snakemake.output[0],
    )
