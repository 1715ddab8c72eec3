"""Training of adapters on a tiny model: what is learned, held, saved and pinned."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from personae.api.requests import EngineSpec, GenerateRequest, Sampling
from personae.inference.client.row_cache import KeptRows
from personae.inference.engine_errors import InterventionError, ModelError
from personae.inference.local_engine import LocalEngine
from personae.inference.lora_training import LoraSettings, _rate, train_adapter
from personae.inference.torch_engine.engine import Engine
from personae.inference.torch_engine.model_loading import load_model
from personae.inference.training_hooks import StreamHold, holding
from personae.inference.weights_manifest import ModelSource
from personae.inference.weights_preparation import prepare_model

from .asking import generate_rows, prompts
from .families import load_tiny

EXCHANGES = [("What is it?", "abc abc abc"), ("Who are you?", "abc abc"), ("Why?", "abc abc abc")]
SETTINGS = LoraSettings(
    rank=4, lora_alpha=8, learning_rate=0.02, warmup_steps=1, epochs=6, batch=2, seed=3
)


def source(folder: Path, name: str = "tiny") -> ModelSource:
    return ModelSource(
        name=name, kind="chat", source="folder", id=str(folder), revision="", license="MIT"
    )


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared tiny Llama."""
    made = tmp_path_factory.mktemp("base")
    loaded = load_tiny("llama3")
    loaded.model.save_pretrained(made / "model")
    loaded.tokenizer.save_pretrained(made / "model")
    prepare_model(source(made / "model"), made / "prepared")
    return made / "prepared"


def trained(base: Path, out: Path, hold: StreamHold | None = None) -> list[float]:
    steps = train_adapter(base, EXCHANGES, SETTINGS, hold, out, device="cpu", threads=1)
    return [step.loss for step in steps]


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "adapter_model.safetensors")


def test_training_lowers_the_loss_and_is_repeatable(base: Path, tmp_path: Path) -> None:
    losses = trained(base, tmp_path / "a")
    assert len(losses) == 12  # 6 epochs of 3 examples in batches of 2
    assert np.mean(losses[-2:]) < 0.7 * np.mean(losses[:2])
    assert trained(base, tmp_path / "b") == losses
    first, second = weights_of(tmp_path / "a"), weights_of(tmp_path / "b")
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_base_with_a_wrapper_s_prefix_is_trained_as_itself(base: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(base / "weights", tmp_path / "model")
    (path,) = (tmp_path / "model").glob("*.safetensors")
    tensors = {f"language_model.{name}": value for name, value in load_file(path).items()}
    path.unlink()
    save_file(tensors, path, {"format": "pt"})
    prepare_model(source(tmp_path / "model", "wrapped"), tmp_path / "wrapped")
    assert trained(tmp_path / "wrapped", tmp_path / "a") == trained(base, tmp_path / "b")


def test_a_base_without_some_of_its_tensors_is_refused(base: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(base / "weights", tmp_path / "model")
    (path,) = (tmp_path / "model").glob("*.safetensors")
    tensors = {k: v for k, v in load_file(path).items() if "layers.2.mlp.up_proj" not in k}
    path.unlink()
    save_file(tensors, path, {"format": "pt"})
    prepare_model(source(tmp_path / "model", "cut"), tmp_path / "cut")
    with pytest.raises(ModelError, match=r"1 missing \(model\.layers\.2\.mlp\.up_proj"):
        trained(tmp_path / "cut", tmp_path / "a")


def test_only_response_tokens_are_learned(base: Path, tmp_path: Path) -> None:
    steps = train_adapter(base, EXCHANGES[:2], SETTINGS, None, tmp_path / "a", device="cpu")
    tokenizer = load_model(base, device="cpu").tokenizer
    said = sum(
        len(tokenizer(text, add_special_tokens=False)["input_ids"]) for _, text in EXCHANGES[:2]
    )
    assert steps[0].n_tokens == said + 2  # and the tokens that end the turns


def test_steering_and_ablation_change_what_is_learned(base: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    vector = rng.normal(size=32).astype(np.float32) * 3
    plain = trained(base, tmp_path / "plain")
    for op in ("add", "ablate"):
        held = trained(base, tmp_path / op, StreamHold(op, 1, vector))  # type: ignore[arg-type]
        assert held[0] != pytest.approx(plain[0], rel=1e-3)
        assert held[-1] < held[0]
    one, other = weights_of(tmp_path / "plain"), weights_of(tmp_path / "add")
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_the_hook_acts_on_the_stream_after_its_block() -> None:
    loaded = load_tiny("llama3")
    vector = np.zeros(loaded.hidden_size, dtype=np.float32)
    vector[2] = 2.0
    ids = torch.arange(5).unsqueeze(0)

    def stream(hold: StreamHold | None) -> torch.Tensor:
        with holding(loaded.model, hold) as passes, torch.no_grad():
            # What enters block 2 is what leaves block 1.
            seen: list[torch.Tensor] = []
            handle = loaded.blocks[2].register_forward_pre_hook(
                lambda _, args: seen.append(args[0].clone())
            )
            passes.passes_begun()
            loaded.model(input_ids=ids)
            handle.remove()
        return seen[0]

    plain = stream(None)
    added = stream(StreamHold("add", 1, vector, 0.5))
    assert torch.allclose(added - plain, 0.5 * torch.from_numpy(vector), atol=1e-5)
    ablated = stream(StreamHold("ablate", 1, vector))
    assert torch.allclose(ablated[..., 2], torch.zeros(5), atol=1e-6)
    assert torch.allclose(ablated[..., 3:], plain[..., 3:], atol=1e-6)


def test_a_hook_that_misses_a_pass_is_an_error() -> None:
    loaded = load_tiny("llama3")
    hold = StreamHold("add", 1, np.ones(loaded.hidden_size, dtype=np.float32))
    with (
        pytest.raises(InterventionError, match="acted on 0 of 1 forward"),
        holding(loaded.model, hold) as passes,
    ):
        passes.passes_begun()


def test_an_adapter_answers_otherwise_than_its_base(base: Path, tmp_path: Path) -> None:
    trained(base, tmp_path / "adapter")
    spec = EngineSpec(model=str(base), device="cpu", dtype="float32", threads=1)
    rows = generate_rows(prompts(2))
    plain = LocalEngine(Engine(spec))
    tuned = LocalEngine(Engine(spec, tmp_path / "adapter"))
    greedy = Sampling(temperature=0.0, max_new_tokens=8)
    answers = [
        engine.generate(rows, greedy)["response_ids"].to_pylist() for engine in (plain, tuned)
    ]
    assert answers[0] != answers[1]
    # The base model is as it was.
    again = LocalEngine(Engine(spec)).generate(rows, greedy)["response_ids"].to_pylist()
    assert again == answers[0]


class Dying(Engine):
    """Counts the rows that it is asked for, and ends after the first of the first request."""

    asked: ClassVar[list[int]] = []

    def generate(self, request: GenerateRequest, progress: Any = None) -> Iterator[Any]:
        self.asked.append(len(request.rows))
        for result in super().generate(request, progress):
            yield result
            if len(self.asked) == 1:
                raise KeyboardInterrupt


def test_rows_of_an_ended_attempt_are_kept_for_the_next(base: Path, tmp_path: Path) -> None:
    spec = EngineSpec(model=str(base), device="cpu", dtype="float32", threads=1)
    rows, greedy = generate_rows(prompts(3)), Sampling(temperature=0.0, max_new_tokens=4)
    whole = LocalEngine(Engine(spec)).generate(rows, greedy)
    Dying.asked.clear()
    engine = Dying(spec)

    node = {"rule": "answer_finetuned"}
    with pytest.raises(KeyboardInterrupt), KeptRows(tmp_path, node) as kept:
        LocalEngine(engine, kept, "adapter").generate(rows, greedy)
    assert list(tmp_path.rglob("rows-*"))
    with KeptRows(tmp_path, node) as kept:
        assert LocalEngine(engine, kept, "adapter").generate(rows, greedy).equals(whole)
        # Another adapter's rows are not those of this one.
        assert LocalEngine(engine, kept, "other").generate(rows, greedy).equals(whole)
    assert Dying.asked == [3, 2, 3]
    assert not list(tmp_path.rglob("rows-*"))


def test_a_changed_file_of_an_adapter_is_refused_by_name(base: Path, tmp_path: Path) -> None:
    trained(base, tmp_path / "adapter")
    (tmp_path / "adapter" / ".snakemake_timestamp").touch()
    load_model(base, device="cpu", adapter=tmp_path / "adapter")
    for name, flipped in (
        ("adapter_model.safetensors", 1),
        ("adapter_config.json", 1),
        ("base_weights.json", 128),  # no text any more
    ):
        path = tmp_path / "adapter" / name
        whole = path.read_bytes()
        path.write_bytes(whole[:-9] + bytes([whole[-9] ^ flipped]) + whole[-8:])
        with pytest.raises(ModelError, match=rf"{name}: .*run again to train it"):
            load_model(base, device="cpu", adapter=tmp_path / "adapter")
        path.write_bytes(whole)


def test_an_adapter_s_folder_is_a_model_of_the_table(base: Path, tmp_path: Path) -> None:
    trained(base, tmp_path / "adapter")
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text("utf-8"))
    assert config["base_model_name_or_path"] == str(base / "weights")
    manifest = prepare_model(source(tmp_path / "adapter", "tuned"), tmp_path / "tuned")
    assert manifest.n_layers == 4
    merged = load_model(tmp_path / "tuned", device="cpu", dtype="float32").model
    applied = load_model(base, device="cpu", dtype="float32", adapter=tmp_path / "adapter").model
    ids = torch.arange(6).unsqueeze(0)
    with torch.no_grad():
        assert torch.allclose(merged(ids).logits, applied(ids).logits, atol=1e-4)


def test_an_adapter_of_other_weights_is_refused(base: Path, tmp_path: Path) -> None:
    trained(base, tmp_path / "adapter")
    pinned = tmp_path / "adapter" / "base_weights.json"
    pinned.write_text(json.dumps({"weights_digest": "0" * 64}), "utf-8")
    with pytest.raises(ModelError, match="was trained on weights 000000000000"):
        load_model(base, device="cpu", adapter=tmp_path / "adapter")


@pytest.mark.parametrize(
    ("warmup", "total", "expected"),
    [(0, 4, [1.0, 0.75, 0.5, 0.25]), (5, 4, [1 / 3, 2 / 3, 1.0, 0.5]), (1, 3, [0.5, 1.0, 0.5])],
)
def test_the_rate_warms_up_and_decays(warmup: int, total: int, expected: list[float]) -> None:
    found: list[Any] = [_rate(step, total, warmup) for step in range(total)]
    assert found == pytest.approx(expected)
