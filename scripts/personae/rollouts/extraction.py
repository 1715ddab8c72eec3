"""Extract mean activations over spans of a rollout from saved token ids.

Uses the token ids saved at generation; text is never tokenised again to find a span. Spans:

- ``response_mean``: the response tokens (AA 2.1, PV 2.2), without the end-of-turn token;
- ``prompt_mean``: every token of the rendered prompt;
- ``last_prompt``: the last token of the rendered prompt, before any response (PV monitoring).
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from personae.api.requests import ActivationRow, Span
from personae.data.schemas import SCHEMAS
from personae.inference.client import EngineClient


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


def extract_activations(
    engine: EngineClient, responses: pa.Table, names: Sequence[str]
) -> pa.Table:
    """Return the ``activations`` table of ``responses``: one row per rollout, span and layer.

    Layer ``l`` is the residual stream after block ``l``; means are float32. A rollout with an empty
    response has no response activation and is left out.
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
