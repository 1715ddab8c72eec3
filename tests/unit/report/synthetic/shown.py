"""Projections of tokens in the transcripts that the page shows."""

from __future__ import annotations

import pyarrow as pa

from .basics import MIDDLE, Planted, table
from .conversations import drift_tables
from .traits import steering_tables


def shown_tables(plan: Planted) -> dict[str, pa.Table]:
    """Tokens of steered responses and replays, one a word; the n-th projects at n."""
    responses = {
        "steered_responses": steering_tables(plan)["steering/poetic/alpha_sweep/responses"],
        "replays": drift_tables(plan)["drift/replays"],
    }
    rows = [
        {
            "source": source,
            "response_id": row["response_id"],
            "direction": direction,
            "layer": MIDDLE,
            "pieces": [f"{word} " for word in row["response"].split()],
            "projections": [sign * n for n, _ in enumerate(row["response"].split())],
        }
        for source, made in responses.items()
        for row in made.to_pylist()
        for direction, sign in (("axis", -1.0), ("poetic", 1.0))
    ]
    return {"shown/tokens": table("shown_tokens", rows)}
