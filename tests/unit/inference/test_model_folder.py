"""Model folders that cannot be run, and unusual ones that can, from their JSON files alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from personae.inference.engine_errors import ModelError
from personae.inference.model_config import ModelShape, config_problem, shape_of
from personae.inference.model_folder import folder_problem, weight_files

LLAMA: dict[str, Any] = {"model_type": "llama", "num_hidden_layers": 4, "hidden_size": 32}
STATED = ModelShape("", 4, 32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that looks like a sound chat model."""
    write(tmp_path, "config.json", LLAMA)
    write(tmp_path, "tokenizer_config.json", {"chat_template": "{{ messages }}"})
    (tmp_path / "model.safetensors").touch()
    return tmp_path


def write(folder: Path, name: str, content: object) -> None:
    (folder / name).write_text(json.dumps(content), encoding="utf-8")


def problem(folder: Path, template: str = "", engine: str = "torch") -> str | None:
    return folder_problem(folder, "'mine'", STATED, True, template, engine)


def test_a_sound_folder_has_no_problem(folder: Path) -> None:
    assert problem(folder) is None


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_type": "mamba", "state_size": 4}, "recurrent or hybrid model (mamba)"),
        ({"model_type": "recurrent_gemma", "lru_width": 32}, "(recurrent_gemma)"),
        ({"model_type": "lfm2", "layer_types": ["conv", "full_attention"]}, "type conv)"),
        ({"model_type": "qwen3_next", "layer_types": ["linear_attention"]}, "linear_attention"),
        ({"model_type": "falcon_h1", "mamba_d_state": 4}, "(falcon_h1)"),
        ({"model_type": "granitemoehybrid", "layer_types": ["mamba"]}, "type mamba"),
        ({"model_type": "new_kind", "mamba_d_state": 4}, "(mamba_d_state)"),
        ({"text_config": LLAMA | {"model_type": "qwen3_5_text"}}, "(qwen3_5)"),
        ({"model_type": "gemma3n_text", "altup_num_inputs": 4}, "AltUp"),
        ({"model_type": "t5", "is_encoder_decoder": True}, "an encoder-decoder"),
        ({"model_type": ""}, "names no model_type"),
        ({"quantization_config": {"quant_method": "awq", "bits": 4}}, "quantised by awq"),
        ({"quantization_config": {"quant_method": "fp8"}}, "set engine.kind to vllm"),
        ({"quantization_config": {"load_in_4bit": True}}, "by a method without a name"),
    ],
)
def test_what_cannot_be_run_is_refused_by_one_line(
    folder: Path, config: dict[str, Any], words: str
) -> None:
    write(folder, "config.json", LLAMA | config)
    line = problem(folder)
    assert line is not None
    assert line.startswith("'mine': ")
    assert words in line
    assert "\n" not in line


@pytest.mark.parametrize(
    "config",
    [
        {"layer_types": ["sliding_attention", "full_attention"]},
        {"layer_types": ["chunked_attention", "full_attention"]},
        {"text_config": {"num_hidden_layers": 4, "hidden_size": 32}},
    ],
)
def test_models_of_attention_alone_are_run(config: dict[str, Any]) -> None:
    assert config_problem(LLAMA | config) is None


def test_quantised_weights_are_for_vllm(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, "config.json", LLAMA | {"quantization_config": {"quant_method": "fp8"}})
    assert problem(folder, engine="vllm") is None
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "quantised by fp8" in (problem(folder, engine="auto") or "")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    assert problem(folder, engine="auto") is None


def test_a_shape_goes_by_several_names() -> None:
    assert shape_of({"model_type": "gpt2", "n_layer": 4, "n_embd": 32}, "x") == ModelShape(
        "gpt2", 4, 32
    )
    nested = {"model_type": "mistral3", "text_config": {"num_hidden_layers": 4, "hidden_size": 32}}
    assert shape_of(nested, "x") == ModelShape("mistral3", 4, 32)
    with pytest.raises(ModelError, match=r"^x: config\.json has no num_hidden_layers above 0"):
        shape_of({"model_type": "odd", "num_hidden_layers": "4"}, "x")


def test_another_shape_than_the_table_states_is_named(folder: Path) -> None:
    write(folder, "config.json", LLAMA | {"num_hidden_layers": 5})
    assert problem(folder) == "n_layers is 4, but 'mine' has 5; correct the table"


def test_a_base_model_needs_a_template_by_name(folder: Path) -> None:
    (folder / "tokenizer_config.json").unlink()
    assert "no chat template" in (problem(folder) or "")
    assert problem(folder, "chatml.jinja") is None
    (folder / "chat_template.jinja").touch()
    assert problem(folder) is None


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("config.json", b"{", "config.json cannot be read"),
        ("config.json", b"[]", "config.json is not one JSON object"),
        ("config.json", b"\xff", "config.json cannot be read"),
        ("config.json", b"[" * 100_000, "config.json cannot be read"),
        ("model.safetensors.index.json", b"{}", "has no weight_map"),
        ("model.safetensors.index.json", b'{"weight_map": {"a": "b.st"}}', "b.st of"),
    ],
)
def test_a_broken_file_is_named(folder: Path, name: str, content: bytes, words: str) -> None:
    (folder / name).write_bytes(content)
    line = problem(folder)
    assert line is not None
    assert line.startswith("'mine': ")
    assert words in line


def test_weights_in_their_makers_layout_are_left_out(tmp_path: Path) -> None:
    for name in ("model-1.safetensors", "model-2.safetensors", "consolidated.safetensors"):
        (tmp_path / name).touch()
    assert [p.name for p in weight_files(tmp_path, "x")] == [
        "model-1.safetensors", "model-2.safetensors",
    ]  # fmt: skip
    index = {"weight_map": {"a": "model-2.safetensors", "b": "model-2.safetensors"}}
    write(tmp_path, "model.safetensors.index.json", index)
    assert [p.name for p in weight_files(tmp_path, "x")] == ["model-2.safetensors"]


def test_an_adapter_is_its_base_model_or_one_line(folder: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    write(adapter, "adapter_config.json", {"base_model_name_or_path": "org/model"})
    assert "'org/model' is no model folder on this machine" in (problem(adapter) or "")
    write(adapter, "adapter_config.json", {"base_model_name_or_path": str(folder)})
    assert problem(adapter) is None
    write(adapter, "adapter_config.json", {})
    assert "base_model_name_or_path is missing" in (problem(adapter) or "")
