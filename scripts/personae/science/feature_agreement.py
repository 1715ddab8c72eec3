"""Whether two ways to name the features of a trait vector agree (PV, interpretation).

A vector's features by cosine come from its direction alone, those by activation from responses.
They say something about the trait if they are the same ones, and not the same for every trait.
"""

from __future__ import annotations

import math

import pandas as pd

from personae.science.sparse_features import COSINE, DIFFERENCE


def agreement_table(features: pd.DataFrame) -> pd.DataFrame:
    """Share of a vector's features by cosine that are also among those by activation.

    Parameters
    ----------
    features
        Table ``vector_features``; sides are kept apart.

    Returns
    -------
    pd.DataFrame
        One row per autoencoder and trait: ``own``, the share among the features that respond to the
        trait's own prompts; ``other``, the mean share among those of each other trait (NaN without
        one), which is what features that respond to every instruction would give.
    """
    rows = []
    for autoencoder, part in features.groupby("autoencoder"):
        active = _by_trait(part[part.by == DIFFERENCE])
        for trait, close in _by_trait(part[part.by == COSINE]).items():
            shared = {name: len(close & other) for name, other in active.items()}
            if trait not in shared:
                continue
            own, n = shared.pop(trait) / len(close), len(close) * len(shared)
            # Counts are divided once, so that equal shares are equal numbers.
            other = sum(shared.values()) / n if n else math.nan
            rows.append({"autoencoder": autoencoder, "trait": trait, "own": own, "other": other})
    return pd.DataFrame(rows, columns=["autoencoder", "trait", "own", "other"])


def _by_trait(rows: pd.DataFrame) -> dict[str, set[tuple[str, int]]]:
    """Side and number of every feature, by trait."""
    groups = rows.groupby("trait")
    return {str(trait): set(zip(r.side, r.feature, strict=True)) for trait, r in groups}
