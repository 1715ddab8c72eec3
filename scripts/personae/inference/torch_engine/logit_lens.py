"""Directions of the residual stream as next tokens: the model's own final norm and output head."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from personae.inference.engine_errors import ModelError
from personae.inference.torch_engine.model_loading import LoadedModel

_NORMS: Final = ("norm", "final_layernorm", "final_layer_norm", "ln_f")


def token_logits(loaded: LoadedModel, vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Read vectors ``[n, hidden]`` as logits of the next token, float32 ``[n, vocabulary]``.

    Each vector is scaled to a root mean square of 1, put through the final norm and the output head
    in float32, and the mean over the vocabulary is removed: only differences between tokens mean
    something. A cap on logits (Gemma 2) is left out; it keeps their order.

    Raises
    ------
    ModelError
        If the final norm cannot be told from the model's other parts.
    """
    norm, head = _final_norm(loaded), loaded.model.get_output_embeddings()
    wide = torch.from_numpy(np.asarray(vectors, dtype=np.float32)).to(loaded.device)
    wide = wide / wide.pow(2).mean(dim=-1, keepdim=True).sqrt()
    with torch.inference_mode():
        logits = head(norm(wide.to(loaded.dtype))).float()
    return np.asarray((logits - logits.mean(dim=-1, keepdim=True)).cpu().numpy())


def _final_norm(loaded: LoadedModel) -> nn.Module:
    decoder = loaded.model.get_decoder()
    found = [getattr(decoder, name) for name in _NORMS if hasattr(decoder, name)]
    if len(found) != 1:
        names = [name for name, _ in decoder.named_children()]
        raise ModelError(
            f"cannot tell the final norm of {type(decoder).__name__} among {names}; expected one "
            f"of {', '.join(_NORMS)}"
        )
    norm: nn.Module = found[0]
    return norm


def token_texts(loaded: LoadedModel, count: int) -> list[str]:
    """Return the text of every token id below ``count``."""
    return [str(loaded.tokenizer.decode([index])) for index in range(count)]
