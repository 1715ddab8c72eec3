"""The sentence embedder in this process, on the CPU, for nodes that load no model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from personae.api.requests import LikelihoodResult, LikelihoodRow
from personae.base.errors import PersonaeError

if TYPE_CHECKING:  # torch takes seconds to import, and a judge behind an API needs none
    from personae.inference.sentence_embedder import Embedder


class EmbedderAlone:
    """The engine of judges that do not ask the model.

    Parameters
    ----------
    folder
        A prepared embedder; it is loaded when the first text comes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def _embedder(self) -> Embedder:
        from personae.inference.sentence_embedder import Embedder

        return Embedder(self._folder)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return L2-normalised embeddings, float32 ``[n, size]``."""
        return self._embedder.embed(texts)

    def loglikelihood(self, rows: Sequence[LikelihoodRow]) -> list[LikelihoodResult]:
        """Refuse: this node was started without the model.

        Raises
        ------
        PersonaeError
            Always.
        """
        raise PersonaeError("the likelihood judge needs the model; name it in judging.primary")
