"""Find a model's decoder blocks, or raise an error; never guess."""

from __future__ import annotations

from torch import nn
from transformers import PreTrainedModel

from personae.inference.engine_errors import ModelError

_LISTS = ("layers", "h", "blocks")


def find_blocks(model: PreTrainedModel) -> nn.ModuleList:
    """Return the list of decoder blocks of a causal language model.

    The decoder is that of transformers' ``get_decoder``, which handles the nesting of multimodal
    models such as Gemma 3. The blocks are its only list with as many modules as the text config
    has layers. Layer ``l`` is element ``l``; its output is the residual stream.

    Raises
    ------
    ModelError
        If no such list, or more than one, exists.
    """
    decoder = model.get_decoder()
    if decoder is model:
        decoder = getattr(model, "model", model.base_model)  # Llama 4 returns itself
    expected = model.config.get_text_config(decoder=True).num_hidden_layers
    lists = {
        name: child for name, child in decoder.named_children() if isinstance(child, nn.ModuleList)
    }
    fitting = [lists[name] for name in _LISTS if name in lists and len(lists[name]) == expected]
    if len(fitting) != 1:
        found = {name: len(child) for name, child in lists.items()} or "none"
        raise ModelError(
            f"cannot find the decoder blocks of {type(model).__name__}: {type(decoder).__name__} "
            f"should have one list among {_LISTS} of {expected} modules; its lists: {found}"
        )
    return fitting[0]
