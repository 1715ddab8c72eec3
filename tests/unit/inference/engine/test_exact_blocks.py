"""The decoder blocks are found by what the model declares, and never guessed."""

from __future__ import annotations

import pytest
from torch import nn

from personae.inference.engine_errors import ModelError
from personae.inference.torch_engine.decoder_blocks import find_blocks
from personae.inference.torch_engine.model_loading import wrap_model

from .families import FAMILIES, make_model, make_tokenizer


def _list(count: int) -> nn.ModuleList:
    return nn.ModuleList(nn.Linear(2, 2) for _ in range(count))


@pytest.mark.parametrize("name", ["llama3", "gemma3_nested"])
@pytest.mark.parametrize("second", ["h", "blocks"])
def test_two_lists_that_fit_are_refused_with_both_named(name: str, second: str) -> None:
    model = make_model(name)
    model.get_decoder().add_module(second, _list(4))
    found = rf"cannot find .*{type(model).__name__}.*'layers': 4, '{second}': 4"
    with pytest.raises(ModelError, match=found):
        find_blocks(model)
    with pytest.raises(ModelError, match=found):
        wrap_model(model, make_tokenizer(FAMILIES[name].template))


def test_a_list_of_another_length_or_name_is_not_taken_for_the_blocks() -> None:
    model = make_model("llama3")
    decoder = model.get_decoder()
    blocks = decoder.layers
    decoder.add_module("h", _list(3))
    decoder.add_module("adapters", _list(4))
    assert find_blocks(model) is blocks
    decoder.layers = nn.Sequential(*blocks)
    with pytest.raises(ModelError, match=r"its lists: {'h': 3, 'adapters': 4}"):
        find_blocks(model)


def test_blocks_of_another_accepted_name_are_found() -> None:
    model = make_model("llama3")
    decoder = model.get_decoder()
    decoder.h = decoder.layers
    del decoder.layers
    assert find_blocks(model) is decoder.h


def test_a_decoder_without_lists_is_refused() -> None:
    model = make_model("llama3")
    del model.get_decoder().layers
    with pytest.raises(ModelError, match="of 4 modules; its lists: none"):
        find_blocks(model)
