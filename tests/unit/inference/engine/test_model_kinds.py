"""Models of unusual classes, saved and prepared as by users, against plain transformers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM, PreTrainedModel

from personae.api.requests import (
    ActivationRow,
    ActivationsRequest,
    EngineSpec,
    GenerateRequest,
    Span,
)
from personae.inference.engine_errors import ModelError
from personae.inference.torch_engine.engine import Engine
from personae.inference.weights_manifest import ModelSource
from personae.inference.weights_preparation import prepare_model

from . import templates
from .asking import GREEDY, generate_rows, prompts
from .families import VOCABULARY, load_tiny, make_tokenizer

SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 512,
    "initializer_range": 0.4,
    "bos_token_id": 256,
    "eos_token_id": 257,
    "pad_token_id": 257,
    "tie_word_embeddings": False,
}
MROPE = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]}}
VISION: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 32}
PIXTRAL = {**VISION, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 28,
           "patch_size": 14}  # fmt: skip
QWEN_VISION = {**VISION, "depth": 1, "num_heads": 2, "out_hidden_size": 32, "patch_size": 14}
LLAMA4 = {**SHAPE, "intermediate_size_mlp": 64, "num_local_experts": 2, "attention_chunk_size": 16}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "Mistral3ForConditionalGeneration": (
        "Mistral3Config",
        {"text_config": {"model_type": "mistral", **SHAPE}, "vision_config": PIXTRAL},
    ),
    "Qwen2_5_VLForConditionalGeneration": (
        "Qwen2_5_VLConfig",
        {
            "text_config": {**SHAPE, **MROPE},
            "vision_config": {**QWEN_VISION, "fullatt_block_indexes": [0]},
        },
    ),
    "Qwen3VLForConditionalGeneration": (
        "Qwen3VLConfig",
        {
            "text_config": {**SHAPE, **MROPE},
            "vision_config": {
                **QWEN_VISION,
                "deepstack_visual_indexes": [0],
                "num_position_embeddings": 4,
            },
        },
    ),
    "Llama4ForCausalLM": ("Llama4TextConfig", LLAMA4),
    "GPT2LMHeadModel": (
        "GPT2Config",
        {
            "vocab_size": VOCABULARY,
            "n_embd": 32,
            "n_layer": 4,
            "n_head": 4,
            "n_positions": 512,
            "initializer_range": 0.4,
            "bos_token_id": 256,
            "eos_token_id": 257,
        },
    ),
}


def saved(name: str, folder: Path) -> PreTrainedModel:
    """Save a tiny model by its own class, with a tokenizer, and return it."""
    config_name, values = KINDS[name]
    config = getattr(transformers, config_name)(**values)
    torch.manual_seed(0)
    model: PreTrainedModel = getattr(transformers, name)(config).eval()
    model.save_pretrained(folder)
    make_tokenizer(templates.CHATML).save_pretrained(folder)
    return model


def prepared(source: Path, out: Path, **changes: Any) -> Path:
    """Prepare a local folder and return where."""
    values = {"name": "m", "kind": "chat", "source": "folder", "id": str(source), "revision": ""}
    prepare_model(ModelSource(**{**values, "license": "MIT", **changes}), out)
    return out


def engine(folder: Path) -> Engine:
    return Engine(EngineSpec(model=str(folder), dtype="float32", device="cpu"))


@pytest.mark.parametrize("name", KINDS)
def test_tokens_and_span_means_are_those_of_the_models_own_class(name: str, tmp_path: Path) -> None:
    model = saved(name, tmp_path / "model")
    running = engine(prepared(tmp_path / "model", tmp_path / "out"))
    request = GenerateRequest(rows=generate_rows(prompts(3)), sampling=GREEDY)
    for result in running.generate(request, lambda done, total: None):
        n_prompt, ids = len(result.prompt_ids), [*result.prompt_ids, *result.response_ids]
        with torch.inference_mode():
            plain = model(input_ids=torch.tensor([ids]), output_hidden_states=True)
        chosen = plain.logits[0, n_prompt - 1 : -1].argmax(-1).tolist()
        assert chosen == list(result.response_ids)
        spans = [Span(name="response", start=n_prompt, end=len(ids))]
        row = ActivationRow(id="r", token_ids=ids, n_prompt=n_prompt, spans=spans)
        (means,) = running.activations(ActivationsRequest(rows=[row]), lambda done, total: None)
        for layer in range(3):
            expected = plain.hidden_states[layer + 1][0, n_prompt:].double().mean(0).numpy()
            np.testing.assert_allclose(means.vectors[layer], expected, atol=1e-5)


def test_a_recurrent_model_is_refused_when_it_is_prepared(tmp_path: Path) -> None:
    config = transformers.MambaConfig(
        vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=4, state_size=4
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "model")
    make_tokenizer(templates.CHATML).save_pretrained(tmp_path / "model")
    with pytest.raises(ModelError, match=r"recurrent or hybrid model \(mamba\)"):
        prepared(tmp_path / "model", tmp_path / "out")


def test_an_adapter_folder_becomes_base_model_plus_adapter(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    tiny = load_tiny()
    tiny.model.save_pretrained(tmp_path / "base")
    tiny.tokenizer.save_pretrained(tmp_path / "base")
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    config = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    adapted = get_peft_model(base, config).eval()
    adapted.save_pretrained(tmp_path / "adapter")
    running = engine(prepared(tmp_path / "adapter", tmp_path / "out"))
    request = GenerateRequest(rows=generate_rows(prompts(1)), sampling=GREEDY)
    (result,) = running.generate(request, lambda done, total: None)
    ids = torch.tensor([[*result.prompt_ids, *result.response_ids]])
    with torch.inference_mode():
        logits = adapted(input_ids=ids).logits[0, len(result.prompt_ids) - 1 : -1]
        without = tiny.model(input_ids=ids).logits[0, len(result.prompt_ids) - 1 : -1]
    assert logits.argmax(-1).tolist() == list(result.response_ids)
    assert without.argmax(-1).tolist() != list(result.response_ids)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("lora_A", None, "4 missing (base_model.model.model.layers.0.self_attn.q_proj.lora_A"),
        ("q_proj", "k_proj", "8 unknown to the model"),
    ],
)
def test_an_adapter_with_other_tensors_is_refused_by_name(
    tmp_path: Path, old: str, new: str | None, words: str
) -> None:
    from peft import LoraConfig, get_peft_model
    from safetensors.torch import load_file, save_file

    tiny = load_tiny()
    tiny.model.save_pretrained(tmp_path / "base")
    tiny.tokenizer.save_pretrained(tmp_path / "base")
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    config = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    get_peft_model(base, config).save_pretrained(tmp_path / "adapter")
    path = tmp_path / "adapter" / "adapter_model.safetensors"
    tensors = load_file(path)
    kept = {k.replace(old, new or old): v for k, v in tensors.items() if new or old not in k}
    save_file(kept, path)
    with pytest.raises(ModelError, match=re.escape(words)):
        prepared(tmp_path / "adapter", tmp_path / "out")


def test_a_base_model_takes_the_template_that_the_table_names(tmp_path: Path) -> None:
    tiny = load_tiny()
    tiny.model.save_pretrained(tmp_path / "model")
    tiny.tokenizer.chat_template = None
    tiny.tokenizer.save_pretrained(tmp_path / "model")
    with pytest.raises(ModelError, match="no chat template"):
        prepared(tmp_path / "model", tmp_path / "out")
    template = tmp_path / "chatml.jinja"
    template.write_text(templates.CHATML, encoding="utf-8")
    running = engine(prepared(tmp_path / "model", tmp_path / "out", chat_template=str(template)))
    request = GenerateRequest(rows=generate_rows(prompts(1)), sampling=GREEDY)
    (result,) = running.generate(request, lambda done, total: None)
    text = make_tokenizer(templates.CHATML).decode(result.prompt_ids)
    assert text.endswith("<|im_start|>assistant\n")
