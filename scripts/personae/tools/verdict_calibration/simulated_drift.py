"""Simulated conversations: projections of turns, and their prediction from user messages."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from personae.data.table_values import SIMULATED
from personae.science.drift_prediction import UserTurns, predict, with_changes
from personae.science.null_directions import OF_EACH_KIND
from personae.science.projection import unit
from personae.tools.verdict_calibration.simulated_grids import MIDDLE, Frames, codes, grid, names
from personae.workflow.claim_sizes import Sizes

_TURNS: Final = 8
_EMBEDDED: Final = 24
_PERMUTATIONS: Final = 99
_TALKS_OF: Final = ("coding", "writing", "therapy", "philosophy")
_ROAMING: Final = _TALKS_OF[2:]


def drift_tables(sizes: Sizes, effect: float, rng: np.random.Generator) -> Frames:
    """Turns on the axis and on random directions; every conversation wanders along all of them."""
    directions = ["axis", *names("random", 2 * OF_EACH_KIND)]
    domains = names("d", sizes.domains)
    shipped = grid(kind=["calm", "drifting"], domain=domains)
    shipped["conversation"] = shipped.kind + shipped.domain
    parts = [shipped.assign(arm=arm) for arm in ("shipped", "replayed", "capped")]
    simulated = grid(domain=_TALKS_OF, n=range(sizes.simulated_talks))
    simulated["conversation"] = "s" + simulated.domain + simulated.n.astype(str)
    parts.append(simulated.drop(columns="n").assign(kind="drifting", arm=SIMULATED))
    talks = pd.concat(parts, ignore_index=True)
    start = rng.normal(0, 1.0, (talks.domain.nunique(), len(directions)))[codes(talks.domain)]
    slope = rng.normal(0, 0.12, (len(talks), len(directions)))
    own = -0.35 * (talks.kind == "drifting") * np.where(talks.arm == "capped", 0.2, 1.0)
    # Replays and caps of one conversation answer the same messages.
    roams = np.where(talks.domain.isin(_ROAMING), 1.0, 0.1)
    own = np.where(talks.arm == SIMULATED, -0.35 * roams, own)
    slope[:, 0] += effect * own
    turns = np.arange(_TURNS)
    values = start[:, :, np.newaxis] + slope[:, :, np.newaxis] * turns
    values = values + rng.normal(0, 0.5, values.shape)
    rows = talks.loc[talks.index.repeat(len(directions) * _TURNS)].reset_index(drop=True)
    rows["direction"] = np.tile(np.repeat(directions, _TURNS), len(talks))
    rows["turn"] = np.tile(turns, len(talks) * len(directions))
    rows["projection"], rows["layer"] = values.reshape(-1), MIDDLE
    return {"drift": rows}


def prediction_tables(sizes: Sizes, effect: float, rng: np.random.Generator) -> Frames:
    """Projection and its change from the embedding of the user's message, by ridge regression."""
    talks = 4 * sizes.simulated_talks
    conversations = np.repeat(names("s", talks), sizes.simulated_turns).tolist()
    n = len(conversations)
    topic = np.repeat(rng.normal(size=(talks, _EMBEDDED)), sizes.simulated_turns, axis=0)
    embeddings = unit(topic + rng.normal(size=(n, _EMBEDDED)))
    weights = np.random.default_rng(0).normal(size=_EMBEDDED)  # the same in every study
    said = embeddings @ weights
    own = np.repeat(rng.normal(0, 0.7, talks), sizes.simulated_turns)
    targets = effect * 2.0 * said + own + rng.normal(0, 0.5, n)
    rows = []
    turns = UserTurns(conversations, embeddings, targets)
    for target, found in (("projection", turns), ("change", with_changes(turns))):
        made = predict(found, permutations=_PERMUTATIONS, seed=int(rng.integers(2**31)))
        rows.append(
            {
                "arm": SIMULATED,
                "target": target,
                "n_conversations": talks,
                "n": len(found.targets),
                "null_p95": made.null_p95,
                "p_value": made.p_value,
                **made.r2.columns("r2"),
            }
        )
    return {"drift_predictions": pd.DataFrame(rows)}
