"""Activations come from tables or from the model, a few rollouts at a time, with equal results."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scripts.roles import compute_role_vectors

from personae.data import activation_blocks as blocks_module
from personae.data import tables
from personae.data.matching_ids import answered
from personae.rollouts import activation_reading
from personae.rollouts.activation_reading import activation_blocks, write_activations

LAYERS, HIDDEN, N = 3, 4, 10
KINDS = ("role_vectors", "activation_sums", "kept_activations")


class StandIn:
    """A model whose activations are a function of the tokens."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def info(self) -> Any:
        return SimpleNamespace(n_layers=LAYERS, hidden_size=HIDDEN)

    def activations(self, rows: list[Any]) -> pa.Table:
        self.asked.append(len(rows))
        parts = []
        for row in rows:
            base = np.random.default_rng(row.token_ids).normal(size=(LAYERS, HIDDEN))
            for place, span in enumerate(row.spans):
                columns = {
                    "id": [row.id] * LAYERS,
                    "span": [span.name] * LAYERS,
                    "layer": pa.array(range(LAYERS), pa.int16()),
                    "n_tokens": pa.array([span.end - span.start] * LAYERS, pa.int32()),
                    "vector": tables.from_matrix((base + place).astype(np.float32)),
                }
                parts.append(pa.table(columns))
        return pa.concat_tables(parts)


@pytest.fixture
def responses(tmp_path: Path) -> str:
    """Ten responses on five questions, of which one is empty."""
    rows = [
        {"response_id": f"r{i}", "question_id": f"q{i % 5}", "role": "pirate"}
        | {"split": "heldout" if i % 5 == 4 else "extraction", "prompt_ids": [i, 1]}
        | {"response_ids": [] if i == 3 else [2, i]}
        for i in range(N)
    ]
    path = str(tmp_path / "responses.parquet")
    tables.write(tables.from_rows(rows, "role_responses"), path, "role_responses", {})
    return path


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of four rollouts with one span."""
    for module in (blocks_module, activation_reading):
        monkeypatch.setattr(module, "BLOCK_BYTES", 4 * 4 * LAYERS * HIDDEN)


@pytest.mark.usefixtures("small")
def test_the_model_is_asked_for_a_few_rollouts_at_a_time(responses: str) -> None:
    model: Any = StandIn()
    found = list(
        activation_blocks(responses, "role_responses", None, model, spans=["response_mean"])
    )
    assert model.asked == [4, 4, 1]
    table = tables.read(responses, "role_responses", ["response_id", "response_ids"])
    assert [key for block in found for key in block.ids] == answered(table)
    assert {block.vectors.shape[1:] for block in found} == {(LAYERS, HIDDEN)}


@pytest.mark.usefixtures("small")
def test_vectors_and_what_is_kept_are_the_same_with_and_without_a_table(
    responses: str, tmp_path: Path
) -> None:
    model: Any = StandIn()
    kept = str(tmp_path / "activations.parquet")
    spans = ("response_mean", "last_prompt")
    write_activations(
        kind="role_responses", spans=spans, responses=responses, path_out=kept,
        engine=model, provenance={},
    )  # fmt: skip
    scores = [
        {"response_id": f"r{i}", "judge": "j", "rubric": "role_adherence", "primary": True}
        | {"score": 3.0 if i < 6 else 2.0}
        for i in range(N)
    ]
    judged = str(tmp_path / "scores.parquet")
    tables.write(tables.from_rows(scores, "scores"), judged, "scores", {})
    made: list[list[pa.Table]] = []
    for name, activations, engine in (("all", kept, None), ("needed", None, model)):
        paths = {kind: str(tmp_path / f"{name}-{kind}.parquet") for kind in KINDS}
        compute_role_vectors.main(
            role="pirate", responses=responses, scores=judged, activations=activations,
            paths_out=paths, keep={"folds": 3, "sampled": 2, "layers": [1]}, max_unscored=0.1,
            engine=engine, provenance={},
        )  # fmt: skip
        made.append([tables.read(paths[kind], kind) for kind in KINDS])
    assert all(one.equals(other) for one, other in zip(*made, strict=True))
    vectors, sums, single = made[0]
    assert {(r["kind"], r["n"]) for r in vectors.to_pylist()} == {("fully", 4), ("somewhat", 3)}
    assert sum(r["n"] for r in sums.to_pylist() if r["layer"] == 0) == N - 1
    by_layer = {n: [r["layer"] for r in single.to_pylist()].count(n) for n in range(LAYERS)}
    assert by_layer == {0: 2, 1: N - 1, 2: 2}


def test_activations_of_other_responses_are_refused(responses: str, tmp_path: Path) -> None:
    other = tmp_path / "other.parquet"
    model: Any = StandIn()
    write_activations(
        kind="role_responses", spans=("response_mean",), responses=responses,
        path_out=str(other), engine=model, provenance={},
    )  # fmt: skip
    table = tables.read(other, "activations")
    tables.write(table.slice(0, table.num_rows - 1), other, "activations", {})
    fewer = table.filter(pa.compute.not_equal(table["response_id"], "r0"))
    tables.write(fewer, other, "activations", {})
    with pytest.raises(tables.TableError, match="1 of that are missing, such as 'r0'"):
        list(
            activation_blocks(
                responses, "role_responses", str(other), None, spans=["response_mean"]
            )
        )
