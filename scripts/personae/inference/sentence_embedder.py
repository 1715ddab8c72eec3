"""Sentence embeddings: mean-pooled, L2-normalised, from a prepared embedder (MiniLM)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer

from personae.inference.engine_errors import ModelError
from personae.inference.tensor_names import check_tensors
from personae.inference.weights_manifest import WEIGHTS, read_manifest, verify_contents

# all-MiniLM-L6-v2 was trained on texts cut at this many tokens.
_MAX_TOKENS = 256
_BATCH = 32
_KEPT = 64  # requests
_MOST_KEPT = 1000  # texts of a request that is kept


class Embedder:
    """A sentence embedder on the CPU, in float32.

    Raises
    ------
    ModelError
        If the folder is no intact prepared embedder.
    """

    def __init__(self, folder: Path) -> None:
        self.manifest = read_manifest(folder)
        if self.manifest.kind != "embedder":
            raise ModelError(f"{folder} is a prepared {self.manifest.kind} model, not an embedder")
        verify_contents(folder, self.manifest)
        weights = str(folder / WEIGHTS)
        self._tokenizer = AutoTokenizer.from_pretrained(weights, local_files_only=True)
        model, found = AutoModel.from_pretrained(
            weights,
            dtype=torch.float32,
            local_files_only=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
        check_tensors(folder, found)
        self._model = model.eval()
        self._latest = lru_cache(_KEPT)(self._embed)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return unit vectors, float32 [n_texts, hidden], read-only, in the order of the texts.

        The latest requests are kept, since judges of many nodes ask for the same examples. Single
        texts are not: the last bits of an embedding depend on what else is in its batch.
        """
        embed = self._latest if len(texts) <= _MOST_KEPT else self._embed
        return embed(tuple(texts))

    @torch.inference_mode()
    def _embed(self, texts: tuple[str, ...]) -> NDArray[np.float32]:
        result = np.zeros((len(texts), self.manifest.hidden_size), dtype=np.float32)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        for first in range(0, len(order), _BATCH):
            numbers = order[first : first + _BATCH]
            encoded = self._tokenizer(
                [texts[i] for i in numbers],
                padding=True,
                truncation=True,
                max_length=_MAX_TOKENS,
                return_tensors="pt",
            )
            hidden = self._model(**encoded).last_hidden_state
            mask = encoded["attention_mask"].unsqueeze(2).float()
            mean = (hidden * mask).sum(1) / mask.sum(1)
            result[numbers] = torch.nn.functional.normalize(mean, dim=1).numpy()
        result.flags.writeable = False
        return result
