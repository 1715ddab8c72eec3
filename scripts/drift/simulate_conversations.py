"""Simulate conversations: an auditor plays the user, the model answers without system prompt.

The auditor is the endpoint of ``assignments.auditor``. Without one the studied model plays the user
too; ``user`` in the provenance says which.

Every user of the study's domains brings up every topic; all conversations advance in step (AA,
persona drift). One that ends early is named in the log and in the table's provenance, under
``ended``. Columns: those of ``replays``, with ``simulated`` as kind and arm.
"""

import json
from collections.abc import Mapping
from typing import Any

from personae.api.requests import Sampling
from personae.base.errors import PersonaeError
from personae.data import tables
from personae.endpoints.runtime import Runtime
from personae.inference.client import EngineClient
from personae.personas.library import AuditorPrompt
from personae.rollouts.conversation import play
from personae.rollouts.simulation import Auditor, talks_of


def main(
    *,
    simulation: Mapping[str, Any],
    config: Mapping[str, Any],
    path_out: str,
    engine: EngineClient,
    provenance: dict[str, str],
) -> None:
    """Write one row per conversation and turn."""
    sampling, talks = Sampling(**simulation["sampling"]), talks_of(simulation["users"])
    endpoint = (config.get("assignments") or {}).get("auditor")
    auditor = Auditor(
        endpoint=endpoint,
        runtime=Runtime.of(config) if endpoint else None,
        prompt=AuditorPrompt(**simulation["prompt"]),
        talks=talks,
        turns=simulation["turns"],
        engine=engine,
        max_new_tokens=sampling.max_new_tokens,
        seed=simulation["seed"],
        sampling=sampling,
    )
    dialogues = [talk.dialogue for talk in talks]
    table = play(engine, dialogues, sampling, "replays", seed=simulation["seed"], users=auditor)
    if not table.num_rows:
        why = next(iter(auditor.ended.values()))
        raise PersonaeError(f"no conversation has a turn (the first one ended {why})")
    facts = provenance | {
        "ended": json.dumps(auditor.ended, ensure_ascii=False),
        "user": endpoint or "the studied model",
    }
    tables.write(table, path_out, "replays", facts)


if __name__ == "__main__":
    from personae.workflow.node import run_model_node

    run_model_node(
        snakemake,
        main,
        simulation=dict(snakemake.params.simulation),
        config=snakemake.config,
        path_out=snakemake.output[0],
    )
