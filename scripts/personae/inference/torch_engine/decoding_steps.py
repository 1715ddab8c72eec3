"""One decoding step: the last token of every running row in, logits out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from personae.inference.chat_model import Vectors
from personae.inference.torch_engine.intervention_slots import PlanRow
from personae.inference.torch_engine.interventions import Plan, intervene
from personae.inference.torch_engine.kv_cache import RowCache
from personae.inference.torch_engine.model_loading import LoadedModel


class DecodingSteps(Protocol):
    """What computes the steps of a decoder's rows."""

    def bind(self, running: Sequence[int]) -> None:
        """Declare that row ``i`` of the cache is the decoder's row ``running[i]``."""

    def logits(self, tokens: NDArray[np.int64], index: NDArray[np.int64]) -> Tensor:
        """Feed one token to every row of the cache.

        Parameters
        ----------
        tokens, index
            int64 [rows]: the rows' last tokens, and the indices of these in their rows.

        Returns
        -------
        Tensor
            [rows, vocabulary], valid until the next step.
        """

    def verify(self, row: int, start: int, stop: int) -> int:
        """Compare how often a row's interventions acted with its tokens ``[start, stop)``.

        Returns
        -------
        int
            Positions at which they acted, summed over them.

        Raises
        ------
        InterventionError
            If one acted at more or fewer positions than it had to.
        """


class PlannedSteps:
    """Steps that compute what they need and no more; see `DecodingSteps` and `Plan`."""

    def __init__(
        self, loaded: LoadedModel, cache: RowCache, rows: Sequence[PlanRow], vectors: Vectors
    ) -> None:
        self._loaded, self._cache = loaded, cache
        self._plan = Plan(loaded, rows, vectors)
        self.bind, self.verify = self._plan.bind, self._plan.verify

    def logits(self, tokens: NDArray[np.int64], index: NDArray[np.int64]) -> Tensor:
        """See `DecodingSteps.logits`."""
        device = self._loaded.device
        self._plan.at(index[:, None])
        with intervene(self._loaded, self._plan):
            output = self._loaded.model(
                input_ids=torch.from_numpy(tokens[:, None]).to(device),
                attention_mask=self._cache.mask(1, device),
                position_ids=torch.from_numpy(index[:, None]).to(device),
                past_key_values=self._cache,
                use_cache=True,
            )
        logits: Tensor = output.logits[:, -1]
        return logits
