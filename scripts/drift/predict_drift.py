"""Predict the projection of the next turn from the user's message.

Ridge regression from L2-normalised embeddings of user messages to the projection on the axis of the
turn that answers, and to its change, at the middle layer; folds by conversation and a permutation
null that keeps conversations whole (AA, persona drift). One row per arm and target; an arm with
fewer than four conversations has none. Columns: those of ``drift_predictions``.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from personae.data import tables
from personae.inference.client import EngineClient
from personae.rollouts.drift_replay import SHIPPED
from personae.science.drift import along_axis
from personae.science.drift_prediction import (
    LEAST_CONVERSATIONS,
    UserTurns,
    predict,
    with_changes,
)

LOG = logging.getLogger("personae")
Place = tuple[str, str, int]


def main(
    *,
    projections: str,
    replays: str,
    simulated: str | None,
    conversations: Sequence[Mapping[str, Any]],
    path_out: str,
    axis: Mapping[str, Any],
    middle_layer: int,
    seed: int,
    engine: EngineClient,
    provenance: dict[str, str],
) -> None:
    """Write one row per arm and target."""
    said = user_messages(conversations, [path for path in (replays, simulated) if path])
    rows = tables.read(projections, "drift_projections", filters=along_axis(middle_layer))
    projected = {
        (row["arm"], row["conversation"], row["turn"]): row["projection"]
        for row in rows.to_pylist()
    }
    places = sorted(set(said) & set(projected))
    embedded = np.asarray(engine.embed([said[place] for place in places]), dtype=np.float64)
    results = []
    for arm in sorted({arm for arm, *_ in places}):
        here = [i for i, place in enumerate(places) if place[0] == arm]
        turns = UserTurns(
            [places[i][1] for i in here],
            embedded[here],
            np.asarray([projected[places[i]] for i in here], dtype=np.float64),
        )
        for target, found in (("projection", turns), ("change", with_changes(turns))):
            results += _rows(arm, target, found, axis["permutations"], seed)
    table = tables.from_rows(
        [{"layer": middle_layer, **row} for row in results], "drift_predictions"
    )
    tables.write(table, path_out, "drift_predictions", provenance)


def user_messages(
    conversations: Sequence[Mapping[str, Any]], replays: Sequence[str]
) -> dict[Place, str]:
    """Return the user's message before every assistant turn, by arm, conversation and turn."""
    said: dict[Place, str] = {
        (SHIPPED, talk["slug"], i): turn["user"]
        for talk in conversations
        for i, turn in enumerate(talk["turns"])
    }
    for path in replays:
        table = tables.read(path, "replays", ["arm", "conversation", "turn", "question"])
        for row in table.to_pylist():
            said[row["arm"], row["conversation"], row["turn"]] = row["question"]
    return said


def _rows(
    arm: str, target: str, turns: UserTurns, permutations: int, seed: int
) -> list[dict[str, Any]]:
    n_conversations = len(set(turns.conversations))
    if n_conversations < LEAST_CONVERSATIONS:
        LOG.warning("%s: %d conversations, no ridge regression", arm, n_conversations)
        return []
    found = predict(turns, permutations=permutations, seed=seed)
    return [
        {
            "arm": arm,
            "target": target,
            "n": len(turns.targets),
            "n_conversations": n_conversations,
            "r2": found.r2.estimate,
            "r2_low": found.r2.low,
            "r2_high": found.r2.high,
            "null_p95": found.null_p95,
            "p_value": found.p_value,
        }
    ]


if __name__ == "__main__":
    from personae.workflow.node import run_model_node

    run_model_node(
        snakemake,
        main,
        projections=snakemake.input.projections,
        replays=snakemake.input.replays,
        simulated=snakemake.input.get("simulated") or None,
        conversations=list(snakemake.params.conversations),
        path_out=snakemake.output[0],
        axis=snakemake.params.axis,
        middle_layer=snakemake.params.middle_layer,
        seed=snakemake.params.seed,
    )
