"""Which tokens a direction raises and lowers, against directions with shuffled coordinates.

A direction is read by the model's final norm and output head (logit lens). The null shuffles the
coordinates of the direction: same length, same values, another direction. A token's logit counts
when it exceeds the largest logit that 95% of the shuffled directions reach for any token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # imports pyarrow, and configs need the kinds of autoencoders alone
    from personae.science.chosen_vectors import ChosenVector

FloatArray = NDArray[np.floating]
Read = Callable[[FloatArray], NDArray[np.float32]]
"""Turns directions ``[n, hidden]`` into logits ``[n, vocabulary]``."""

SHUFFLES: Final = 20
TOWARD: Final = "toward"
AWAY: Final = "away"


def token_rows(
    directions: Mapping[str, ChosenVector],
    read: Read,
    text: Callable[[int], str],
    n: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Return the ``n`` tokens that each direction raises most, and those that it lowers most.

    Columns of ``vector_tokens``: side ``toward`` has the largest logits, ``away`` the smallest,
    with their sign turned. ``null_p95`` is the 95th percentile, over shuffled directions, of the
    largest logit of any token on that side.
    """
    rows = []
    for name, chosen in directions.items():
        (logits,) = read(chosen.vector[np.newaxis])
        null = read(shuffled(chosen.vector, seed))
        for side, sign in ((TOWARD, 1.0), (AWAY, -1.0)):
            order = np.argsort(-sign * logits, kind="stable")[:n]
            bound = float(np.quantile((sign * null).max(axis=1), 0.95))
            rows += [
                {
                    "direction": name,
                    "layer": chosen.layer,
                    "side": side,
                    "rank": rank,
                    "token_id": int(token),
                    "token": text(int(token)),
                    "logit": float(sign * logits[token]),
                    "null_p95": bound,
                }
                for rank, token in enumerate(order, 1)
            ]
    return rows


def shuffled(vector: FloatArray, seed: int, count: int = SHUFFLES) -> NDArray[np.float32]:
    """Return ``count`` copies of a vector ``[hidden]``, each with its coordinates shuffled."""
    rng = np.random.default_rng(seed)
    return np.stack([rng.permutation(vector) for _ in range(count)]).astype(np.float32)


def significant(rows: Iterable[Mapping[str, Any]]) -> int:
    """Count the tokens beyond the null."""
    return sum(row["logit"] > row["null_p95"] for row in rows)
