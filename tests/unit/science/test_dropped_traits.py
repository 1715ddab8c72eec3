"""A trait that the filter drops has no vector; nodes that need one write empty tables."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scripts.monitoring import measure_monitoring, project_last_prompts
from scripts.report import plot_layer_sweep, plot_monitoring, plot_steering
from scripts.steering import choose_trait_layer, steer_trait, summarize_steering, sweep_trait_layers
from scripts.traits import compare_trait_vectors, compute_trait_vectors

from personae.data import tables
from personae.data.table_values import TRAIT_SPANS
from personae.data.vector_stacks import vector_rows

N_PAIRS, LAYERS, HIDDEN = 4, 3, 8
NO_SCORES = {"max_unscored": 0.2, "seed": 0, "provenance": {}}


def write_side(folder: Path, polarity: str, shift: float, scores: list[float]) -> dict[str, str]:
    """Write responses, scores and activations of one polarity, one question and sample a pair."""
    rng = np.random.default_rng(0)
    ids = [f"{polarity}-{pair}" for pair in range(N_PAIRS)]
    tokens = {"prompt_ids": [1], "response_ids": [1]}
    responses = [
        {"response_id": i, "pair": p, "question_id": "q", "sample": 0, **tokens}
        for p, i in enumerate(ids)
    ]
    judged = [
        {"response_id": i, "judge": "j", "rubric": rubric, "score": score, "primary": True}
        for i, trait in zip(ids, scores, strict=True)
        for rubric, score in (("trait", trait), ("coherence", 90.0))
    ]
    vectors = rng.normal(size=(LAYERS * N_PAIRS, HIDDEN)) + shift
    parts = [
        pa.table(
            {
                "response_id": ids * LAYERS,
                "span": [span] * N_PAIRS * LAYERS,
                "layer": np.repeat(np.arange(LAYERS), N_PAIRS),
                "n_tokens": [1] * N_PAIRS * LAYERS,
                "vector": tables.from_matrix(vectors),
            }
        )
        for span in TRAIT_SPANS
    ]
    made = {
        "responses": (tables.from_rows(responses, "trait_responses"), "trait_responses"),
        "scores": (tables.from_rows(judged, "scores"), "scores"),
        "activations": (tables.assemble(parts, "activations"), "activations"),
    }
    paths = {name: str(folder / f"{polarity}_{name}.parquet") for name in made}
    for name, (table, schema) in made.items():
        tables.write(table, paths[name], schema, {})
    return paths


def compute(folder: Path, positive: list[float], min_kept: int = 1) -> tuple[str, str]:
    """Run the node on one trait whose negative side never shows it."""
    folder.mkdir(exist_ok=True)
    paths = str(folder / "vectors.parquet"), str(folder / "pairs.parquet")
    sides = [
        write_side(folder, "positive", 1.0, positive),
        write_side(folder, "negative", 0.0, [5.0] * N_PAIRS),
    ]
    compute_trait_vectors.main(
        trait=folder.name,
        **{name: [side[name] for side in sides] for name in sides[0]},
        spans=TRAIT_SPANS,
        engine=None,
        path_vectors=paths[0],
        path_pairs=paths[1],
        effective={
            "pairing": "rows", "min_trait": 50, "min_coherence": 50, "min_kept": min_kept,
        },
        **NO_SCORES,
    )  # fmt: skip
    return paths


def test_a_trait_with_one_kept_pair_has_a_vector_of_that_pair_alone(tmp_path: Path) -> None:
    vectors, pairs = compute(tmp_path / "warm", [90.0, 10.0, 10.0, 10.0])
    table = tables.read(vectors, "trait_vectors")
    assert set(table["selection"].to_pylist()) == {"rows"}
    assert set(table["n_cells"].to_pylist()) == {1}
    np.testing.assert_allclose(tables.to_matrix(table["vector"]), 1.0, atol=1e-6)
    kept = tables.read(pairs, "trait_pairs").to_pylist()
    assert [(r["filter"], r["n_kept"], r["effective"]) for r in kept] == [
        ("rows", 1, True), *[("rows", 0, False)] * 3,
    ]  # fmt: skip


def test_a_dropped_trait_is_named_with_the_reason_and_has_no_vector(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "personae"):
        vectors, pairs = compute(tmp_path / "cold", [90.0, 10.0, 10.0, 10.0], min_kept=2)
    assert tables.read(vectors, "trait_vectors").num_rows == 0
    assert "trait cold is dropped: the filter (rows) keeps 1 of 4, fewer than 2" in caplog.text
    assert tables.read(pairs, "trait_pairs").num_rows == N_PAIRS


def test_nodes_after_a_dropped_trait_ask_no_model_and_write_empty_tables(tmp_path: Path) -> None:
    vectors, _ = compute(tmp_path / "cold", [10.0] * N_PAIRS)
    engine: Any = None  # a call would fail
    path = {name: str(tmp_path / f"{name}.parquet") for name in (
        "sweep", "layer", "steered", "effects", "scores", "projected", "monitoring", "points",
        "alerts",
    )}  # fmt: skip
    model = {"engine": engine, "provenance": {}}
    sweep_trait_layers.main(
        trait="cold", vectors=vectors, default=None, sweep={}, path_out=path["sweep"], **model
    )
    tables.write(tables.from_rows([], "scores"), path["scores"], "scores", {})
    judged = {"trait": "cold", "scores": path["scores"], **NO_SCORES}
    choose_trait_layer.main(
        responses=path["sweep"], path_out=path["layer"], coherence_floor=50, **judged
    )
    steer_trait.main(
        trait="cold", vectors=vectors, layer=path["layer"], steering={},
        path_out=path["steered"], **model,
    )  # fmt: skip
    summarize_steering.main(responses=path["steered"], path_out=path["effects"], **judged)
    project_last_prompts.main(
        responses="unread", vectors=vectors, path_out=path["projected"], **model
    )
    measure_monitoring.main(
        responses="unread", scores=path["scores"], projections=path["projected"],
        layer=path["layer"], false_alarms=0.05, max_unscored=NO_SCORES["max_unscored"],
        provenance=NO_SCORES["provenance"],
        paths_out={
            "monitoring": path["monitoring"], "monitoring_points": path["points"],
            "monitoring_alerts": path["alerts"],
        },
    )  # fmt: skip
    for name, schema in (
        ("sweep", "steered_responses"),
        ("layer", "steering_effects"),
        ("effects", "steering_effects"),
        ("projected", "prompt_projections"),
        ("monitoring", "monitoring"),
        ("points", "monitoring_points"),
        ("alerts", "monitoring_alerts"),
    ):
        assert tables.read(path[name], schema).num_rows == 0
    figures = {"judge": "j", "coherence_floor": 50, "provenance": {}}
    for plot in (plot_layer_sweep, plot_steering):
        plot.main(effects=[path["effects"]], path_out=str(tmp_path / "f.svg"), **figures)
        assert "dropped every trait" in (tmp_path / "f.svg").read_text("utf-8")
    plot_monitoring.main(
        points=[path["points"]], correlations=[path["monitoring"]], alerts=[path["alerts"]],
        path_out=str(tmp_path / "m.svg"), provenance={},
    )  # fmt: skip


def test_a_dropped_trait_is_left_out_of_the_cosines(tmp_path: Path) -> None:
    kept = [compute(tmp_path / name, [90.0] * N_PAIRS)[0] for name in ("warm", "kind")]
    dropped, _ = compute(tmp_path / "cold", [10.0] * N_PAIRS)
    axis = vector_rows(np.ones((LAYERS, HIDDEN)), range(LAYERS))
    numbers = {name: [1.0] * LAYERS for name in ("norm", "residual_norm", "integrity")}
    counts = {name: [1] * LAYERS for name in ("n_roles", "n_default")}
    table = pa.table({"direction": ["axis"] * LAYERS, **numbers, **counts, **axis})
    directions = tmp_path / "directions.parquet"
    tables.write(tables.assemble([table], "directions"), directions, "directions", {})
    for files, names in (([kept[0], dropped, kept[1]], {"warm", "kind"}), ([dropped], set())):
        out = str(tmp_path / "cosines.parquet")
        compare_trait_vectors.main(
            vectors=files, directions=str(directions), path_out=out, provenance={}
        )
        found = tables.read(out, "cosines")
        assert set(found["left"].to_pylist()) == names | {"assistant_axis"}
