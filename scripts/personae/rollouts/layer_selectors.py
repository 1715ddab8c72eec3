"""Cheap selectors of a layer: what a vector does without generating anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from personae.api.requests import Intervention, LikelihoodRow
from personae.api.rollout import messages_of
from personae.data.vector_columns import to_matrix
from personae.data.vector_stacks import Stack
from personae.inference.client import EngineClient
from personae.rollouts.response_means import response_requests
from personae.science.statistics import auc


def layer_selectors(
    engine: EngineClient,
    vectors: Stack,
    residual_norms: Mapping[int, float],
    sides: tuple[pa.Table, pa.Table],
    layers: Sequence[int],
    *,
    dose: float,
    n: int,
) -> pd.DataFrame:
    """Return the selectors of one trait by layer.

    Parameters
    ----------
    vectors
        Response-mean vectors ``[1, L, hidden]``.
    residual_norms
        Mean length of the residual stream by layer.
    sides
        Tables ``trait_responses`` under positive and under negative prompts; the first ``n`` of
        each are read.
    layers
        Candidate layers.
    dose
        Length of the steering for the logit effect, as a share of the residual stream's.

    Returns
    -------
    pandas.DataFrame
        ``layer``; ``dose_per_coefficient``; ``separation_auc`` of the projections of the responses;
        ``norm_ratio``, the length of the vector over that of the residual stream; ``logit_effect``,
        the log-probability per token that steering adds to the positive responses, to the question
        alone, minus that to the negative ones.

    Notes
    -----
    # ASSUME: the responses are those of which the vector was made: the selectors rank layers, and
    # are no measures of how well a vector separates.
    """
    positive, negative = (table.slice(0, n) for table in sides)
    auc_by_layer = _separation(engine, vectors, positive, negative, layers)
    effect = _logit_effect(engine, vectors, residual_norms, positive, negative, layers, dose)
    rows = []
    for layer in layers:
        length = float(np.linalg.norm(vectors.vectors[0][vectors.layers.index(layer)]))
        ratio = length / residual_norms[layer]
        rows.append(
            {
                "layer": layer,
                "dose_per_coefficient": ratio,
                "separation_auc": auc_by_layer[layer],
                "norm_ratio": ratio,
                "logit_effect": effect[layer],
            }
        )
    return pd.DataFrame(rows)


def _separation(
    engine: EngineClient,
    vectors: Stack,
    positive: pa.Table,
    negative: pa.Table,
    layers: Sequence[int],
) -> dict[int, float]:
    parts = []
    for table in (positive, negative):
        requests = response_requests(table)
        found = engine.activations(requests, layers=list(layers))
        matrix = to_matrix(found["vector"])
        parts.append(matrix.reshape(len(requests), len(layers), -1))
    return {
        layer: float(
            auc(*(part[:, i] @ vectors.vectors[0][vectors.layers.index(layer)] for part in parts))
        )
        for i, layer in enumerate(layers)
    }


def _logit_effect(
    engine: EngineClient,
    vectors: Stack,
    norms: Mapping[int, float],
    positive: pa.Table,
    negative: pa.Table,
    layers: Sequence[int],
    dose: float,
) -> dict[int, float]:
    named = {
        f"at{layer}": vectors.vectors[0][vectors.layers.index(layer)].astype(np.float32)
        for layer in layers
    }
    rows, signs = [], []
    for sign, table in ((1.0, positive), (-1.0, negative)):
        for row in table.select(["response_id", "messages", "response_ids"]).to_pylist():
            if not row["response_ids"]:
                continue
            user = [message for message in messages_of(row) if message.role == "user"]
            for layer in (None, *layers):
                rows.append(
                    LikelihoodRow(
                        id=f"{row['response_id']}/{layer}",
                        messages=user,
                        continuation_ids=row["response_ids"],
                        interventions=_steered(layer, named, norms, dose),
                    )
                )
                signs.append((sign, layer))
    scored = engine.loglikelihood(rows, named)
    frame = pd.DataFrame(signs, columns=["sign", "layer"]).assign(
        value=[r.sum_logprob / r.n_tokens for r in scored]
    )
    plain = frame[frame.layer.isna()].groupby("sign").value.mean()
    steered = frame[frame.layer.notna()].groupby(["layer", "sign"]).value.mean().unstack("sign")
    gained = steered - plain
    return {int(layer): float(row[1.0] - row[-1.0]) for layer, row in gained.iterrows()}


def _steered(
    layer: int | None, named: Mapping[str, np.ndarray], norms: Mapping[int, float], dose: float
) -> list[Intervention]:
    if layer is None:
        return []
    key = f"at{layer}"
    coefficient = dose * norms[layer] / float(np.linalg.norm(named[key]))
    return [Intervention(op="add", layer=layer, vector=key, coefficient=coefficient)]
