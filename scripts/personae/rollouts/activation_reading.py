"""Activations of rollouts, from the tables that keep them or else from the model.

A study that keeps what it needs (``activations.keep: needed``) has no tables of activations: what
is computed from them is computed as the model reads the rollouts. Both ways ask the model for the
same rollouts in the same requests, so that on one machine they give the same numbers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from personae.data import tables
from personae.data.activation_blocks import (
    BLOCK_BYTES,
    Block,
    ids_of,
    read_blocks,
    table_blocks,
)
from personae.data.matching_ids import answered, check_ids

if TYPE_CHECKING:
    from personae.inference.client import EngineClient

LOG = logging.getLogger("personae")

_TOKENS: Final = ("response_id", "prompt_ids", "response_ids")


def activation_blocks(
    responses: str,
    kind: str,
    activations: str | None,
    engine: EngineClient | None,
    *,
    spans: Sequence[str],
) -> Iterator[Block]:
    """Yield the activations of all rollouts that have a response, in blocks.

    Parameters
    ----------
    responses, kind
        A table of responses and its kind.
    activations
        The table that keeps their activations, if any does.
    engine
        The model otherwise.
    spans
        Names of the spans, see `personae.rollouts.extraction.spans_of`.

    Raises
    ------
    TableError
        When the kept activations are not those of the responses.
    """
    table = tables.read(responses, kind, _TOKENS)
    if activations is not None:
        check_ids(activations, ids_of(activations, spans[0]), answered(table), responses)
        yield from read_blocks(activations, answered(table), spans)
        return
    if engine is None:
        raise ValueError(f"{responses}: neither activations nor a model to read the rollouts with")
    # Nodes that read tables start faster without the client.
    from personae.rollouts.extraction import extract_activations

    for part in requests_of(table, engine, len(spans)):
        yield from table_blocks(extract_activations(engine, part, spans), answered(part), spans)


def requests_of(table: pa.Table, engine: EngineClient, n_spans: int) -> Iterator[pa.Table]:
    """Divide responses into those of one request to the model each; empty ones are left out."""
    facts = engine.info()
    size = max(1, BLOCK_BYTES // (4 * facts.n_layers * facts.hidden_size * n_spans))
    table = table.filter(pc.greater(pc.list_value_length(table["response_ids"]), 0))
    for start in range(0, table.num_rows, size):
        yield table.slice(start, size)


def write_activations(
    *,
    kind: str,
    spans: Sequence[str],
    responses: str,
    path_out: str,
    engine: EngineClient,
    provenance: dict[str, str],
) -> None:
    """Extract the activations of one file of responses: what all extracting nodes do.

    All layers come from one forward pass per rollout, from the token ids saved at generation; means
    are accumulated in float32. One row per rollout, span and layer. Columns: those of
    ``activations``.

    Parameters
    ----------
    kind
        Kind of table that ``responses`` is.
    spans
        Names of the spans, see `personae.rollouts.extraction.spans_of`.
    """
    from personae.rollouts.extraction import extract_activations

    table = tables.read(responses, kind, _TOKENS)
    n = len(answered(table))
    LOG.info("extracting %d rollouts, %d empty", n, table.num_rows - n)
    parts = [
        extract_activations(engine, part, spans) for part in requests_of(table, engine, len(spans))
    ]
    tables.write(tables.assemble(parts, "activations"), path_out, "activations", provenance)
