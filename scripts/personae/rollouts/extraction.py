"""Extract mean activations over spans of a rollout from saved token ids.

Uses the token ids saved at generation; text is never tokenised again to find a span. Spans:

- ``response_mean``: the response tokens (AA 2.1, PV 2.2), without the end-of-turn token;
- ``prompt_mean``: every token of the rendered prompt;
- ``last_prompt``: the last token of the rendered prompt, before any response (PV monitoring).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pyarrow as pa

from personae.api.requests import ActivationRow, Span
from personae.data import tables
from personae.data.schemas import SCHEMAS
from personae.inference.client import EngineClient

LOG = logging.getLogger("personae")


def spans_of(n_prompt: int, n_response: int, names: Sequence[str]) -> list[Span]:
    """Return the named spans of a rollout as token indices, end exclusive.

    Raises
    ------
    ValueError
        If a name is not one of `TRAIT_SPANS`.
    """
    bounds = {
        "response_mean": (n_prompt, n_prompt + n_response),
        "prompt_mean": (0, n_prompt),
        "last_prompt": (n_prompt - 1, n_prompt),
    }
    unknown = set(names) - set(bounds)
    if unknown:
        raise ValueError(f"unknown span {sorted(unknown)}; known: {sorted(bounds)}")
    return [Span(name=name, start=bounds[name][0], end=bounds[name][1]) for name in names]


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
        Names of the spans, as `spans_of` knows them.
    """
    activations = extract_activations(engine, tables.read(responses, kind), spans)
    tables.write(activations, path_out, "activations", provenance)


def extract_activations(
    engine: EngineClient, responses: pa.Table, names: Sequence[str]
) -> pa.Table:
    """Return the ``activations`` table of ``responses``: one row per rollout, span and layer.

    Layer ``l`` is the residual stream after block ``l``; means are float32. A rollout with an empty
    response has no response activation: it is omitted, and the log reports the number.
    """
    rows = []
    columns = (
        responses[name].to_pylist() for name in ("response_id", "prompt_ids", "response_ids")
    )
    for response_id, prompt, response in zip(*columns, strict=True):
        if not response:
            continue
        rows.append(
            ActivationRow(
                id=response_id,
                token_ids=[*prompt, *response],
                n_prompt=len(prompt),
                spans=spans_of(len(prompt), len(response), names),
            )
        )
    LOG.info("extracting %d rollouts, %d empty", len(rows), responses.num_rows - len(rows))
    return activation_table(engine.activations(rows))


def last_prompt_rows(responses: pa.Table) -> list[ActivationRow]:
    """Build requests for the last prompt token only; the response is not computed."""
    ids, prompts = (responses[name].to_pylist() for name in ("response_id", "prompt_ids"))
    return [
        ActivationRow(
            id=response_id,
            token_ids=prompt,
            n_prompt=len(prompt),
            spans=spans_of(len(prompt), 0, ("last_prompt",)),
        )
        for response_id, prompt in zip(ids, prompts, strict=True)
    ]


def activation_table(result: pa.Table) -> pa.Table:
    """Rename the engine's columns to the declared ones and sort by layer, for reads by layer."""
    table = result.rename_columns(
        ["response_id" if name == "id" else name for name in result.column_names]
    )
    table = table.select(SCHEMAS["activations"].names)
    return table.sort_by([("layer", "ascending"), ("span", "ascending")])
