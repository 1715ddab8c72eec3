"""Generate responses for rollouts; all arms use these functions.

The column ``ids_from`` is the origin of the token ids: ``generation``, or ``rendering`` if an
endpoint returned only text.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from personae.api.requests import GenerateRow, Sampling
from personae.api.rollout import Rollout
from personae.data import tables
from personae.data.schemas import SCHEMAS
from personae.endpoints.runtime import Runtime
from personae.inference.client import EngineClient
from personae.inference.local_engine import LocalEngine

LOG = logging.getLogger("personae")


def generate_responses(
    engine: EngineClient | LocalEngine,
    rollouts: Sequence[Rollout],
    sampling: Sampling,
    schema_name: str,
    vectors: Mapping[str, NDArray[np.float32]] | None = None,
) -> pa.Table:
    """Generate one response per rollout and return them in the declared schema.

    Parameters
    ----------
    rollouts
        Rollouts whose ``columns`` are those that ``schema_name`` adds to the common columns.
    vectors
        float32 ``[hidden]`` arrays to which the rollouts' interventions refer by name.
    """
    rows = [
        GenerateRow(
            id=r.id, messages=list(r.messages), seed=r.seed, interventions=list(r.interventions)
        )
        for r in rollouts
    ]
    LOG.info("generating %d responses, at most %d tokens each", len(rows), sampling.max_new_tokens)
    result = engine.generate(rows, sampling, vectors or {})
    replies = [{**row, "ids_from": "generation"} for row in result.to_pylist()]
    return _assemble(rollouts, replies, SCHEMAS[schema_name])


def plain_responses(
    engine: EngineClient,
    rollouts: Sequence[Rollout],
    sampling: Sampling,
    schema_name: str,
    generator: Mapping[str, Any] | None,
    config: Mapping[str, Any],
) -> pa.Table:
    """Generate responses without interventions, on the model server or at an endpoint.

    Parameters
    ----------
    generator
        From `personae.workflow.node_params.generator`; None generates on the model server.
    config
        Configuration of the run: limits and budget of endpoints.
    """
    if generator is None:
        return generate_responses(engine, rollouts, sampling, schema_name)
    # Imported here, since most nodes do not need the client library, which is slow to import.
    from personae.rollouts.remote_generation import generate_remotely

    runtime = Runtime.of(config)
    name = str(generator["endpoint"])
    LOG.info("generating %d responses at the endpoint %s", len(rollouts), name)
    replies = generate_remotely(name, rollouts, sampling, runtime, engine)
    return _assemble(rollouts, replies, SCHEMAS[schema_name])


def write_responses(
    *,
    build: Callable[..., list[Rollout]],
    writes: str,
    rollouts: Mapping[str, Any],
    generator: Mapping[str, Any] | None,
    config: Mapping[str, Any],
    path_out: str,
    engine: EngineClient,
    provenance: dict[str, str],
) -> None:
    """Generate the responses of one role, trait side or monitored trait and write them.

    One row per rollout, with token ids, seed and finish reason. Columns: those of ``writes``.

    Parameters
    ----------
    build
        Builds the rollouts from ``rollouts`` without its key ``sampling``.
    writes
        Kind of table that is written.
    rollouts
        Parameters of the node, with the sampling settings under ``sampling``.
    generator, config
        As in `plain_responses`.
    """
    settings = dict(rollouts)
    sampling = Sampling(**settings.pop("sampling"))
    table = plain_responses(engine, build(**settings), sampling, writes, generator, config)
    tables.write(table, path_out, writes, provenance)


def _assemble(
    rollouts: Sequence[Rollout], result: Sequence[Mapping[str, Any]], schema: pa.Schema
) -> pa.Table:
    replies = {row["id"]: row for row in result}
    records = []
    for rollout in rollouts:
        reply = replies[rollout.id]
        records.append(
            {
                "response_id": rollout.id,
                "messages": json.dumps(
                    [m.model_dump() for m in rollout.messages], ensure_ascii=False
                ),
                **{key: value for key, value in reply.items() if key != "id"},
                **rollout.columns,
            }
        )
    return pa.Table.from_pylist(records, schema=schema)
