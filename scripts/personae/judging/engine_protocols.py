"""The calls that offline judges make; a client of the model server implements them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from personae.api.requests import LikelihoodResult, LikelihoodRow


class LikelihoodEngine(Protocol):
    """Scores continuations."""

    def loglikelihood(self, rows: Sequence[LikelihoodRow]) -> list[LikelihoodResult]:
        """Return the summed log-probability of each row's continuation, in order."""


class EmbeddingEngine(Protocol):
    """Embeds sentences."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return L2-normalised embeddings, float32 ``[n, size]``."""


class JudgeEngine(LikelihoodEngine, EmbeddingEngine, Protocol):
    """Both."""
