"""Leave one role out: a planted axis holds for roles that it was not made of, noise does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scripts.axis import measure_heldout_roles

from personae.data import tables
from personae.data.activation_blocks import Block
from personae.science.heldout_roles import (
    AskedRollouts,
    RoleResult,
    axis_without,
    heldout_role,
    over_roles,
)
from personae.science.kept_rollouts import KeptRollouts

HIDDEN, ROLES, QUESTIONS, SAMPLES = 24, 6, 8, 3
NONE = np.empty((0, HIDDEN))


def asked(rng: np.random.Generator, centre: np.ndarray) -> AskedRollouts:
    """Rollouts around a centre, and questions that shift everybody alike."""
    n = QUESTIONS * SAMPLES
    questions = np.repeat([f"q{i}" for i in range(QUESTIONS)], SAMPLES)
    return AskedRollouts((centre + rng.normal(size=(n, HIDDEN))).astype(np.float32), questions)


def results(shift: float, seed: int = 0) -> list[RoleResult]:
    """Every role lies ``shift`` away from the default along one direction, and by chance aside."""
    rng = np.random.default_rng(seed)
    direction = np.eye(HIDDEN)[0]
    own = {f"r{i}": -shift * direction + rng.normal(0, 0.3, HIDDEN) for i in range(ROLES)}
    fully = {role: centre + rng.normal(0, 0.05, HIDDEN) for role, centre in own.items()}
    default = np.zeros(HIDDEN)
    ours = asked(rng, default)
    return [
        heldout_role(
            role, default, fully, (ours, asked(rng, own[role])), NONE, permutations=99, seed=7
        )
        for role in own
    ]


def test_a_planted_axis_separates_roles_that_it_was_not_made_of() -> None:
    row = over_roles(results(3.0))
    assert row["auc"] > 0.95
    assert row["auc_low"] > row["null_p95"]
    assert row["p_value"] == pytest.approx(0.01)
    assert row["n_role"] == ROLES


def test_perfect_separation_has_an_interval_and_questions_widen_it() -> None:
    perfect = over_roles(results(30.0))
    assert perfect["auc"] == 1.0
    assert 0.7 < perfect["auc_low"] < 0.99
    assert perfect["auc_high"] == 1.0
    some = results(1.0)
    alike = [r._replace(without=dict.fromkeys(r.without, r.row["auc"])) for r in some]
    both, roles = over_roles(some), over_roles(alike)
    assert both["auc"] == roles["auc"]
    assert both["auc_high"] - both["auc_low"] > roles["auc_high"] - roles["auc_low"]


def test_roles_without_a_common_direction_are_separated_only_by_the_axis_that_holds_them() -> None:
    rows = [over_roles(results(0.0, seed)) for seed in range(5)]
    without, within = (np.mean([row[name] for row in rows]) for name in ("auc", "auc_with"))
    assert abs(without - 0.5) < 0.05
    assert within > without + 0.1
    assert all(row["auc_random"] is None for row in rows)


def test_the_axis_without_a_role_is_that_of_the_others() -> None:
    fully = {"a": np.asarray([1.0, 0.0]), "b": np.asarray([0.0, 1.0]), "c": np.asarray([0.0, 3.0])}
    default = np.asarray([5.0, 5.0])
    np.testing.assert_allclose(axis_without(default, fully, "a"), [5.0, 3.0])
    np.testing.assert_allclose(axis_without(default, fully, "z"), default - [1 / 3, 4 / 3])
    with pytest.raises(ValueError, match="no role but 'a'"):
        axis_without(default, {"a": fully["a"]}, "a")


def test_the_node_reads_held_out_questions_at_the_middle_layer_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    sign = {"default": 1.0, "pirate": -1.0, "poet": -1.0}
    kept = {subject: _kept(tmp_path, rng, subject, sign[subject]) for subject in sign}
    vectors = [
        {
            "role": subject,
            "kind": "default" if subject == "default" else "fully",
            "layer": layer,
            "n": 4,
            "n_unscored": 0,
            "vector": _bytes(np.eye(4)[0] * sign[subject] * (1 if layer == 1 else -1)),
        }
        for subject in sign
        for layer in (0, 1)
    ]
    _write(vectors, tmp_path / "role_vectors.parquet", "role_vectors")
    out = str(tmp_path / "out.parquet")
    measure_heldout_roles.main(
        role_vectors=str(tmp_path / "role_vectors.parquet"),
        kept=kept,
        path_out=out,
        axis={"bootstrap": 100, "permutations": 50},
        middle_layer=1,
        seed=0,
        provenance={},
    )
    found = {row["role"]: row for row in tables.read(out, "heldout_roles").to_pylist()}
    assert set(found) == {"pirate", "poet", "*"}
    assert found["pirate"]["auc"] == found["*"]["auc"] == 1.0
    assert found["pirate"]["n_role"] == 4, "extraction questions are not counted"
    assert 0.5 <= found["*"]["auc_random"] < 1.0
    assert 0.0 < found["*"]["p_random"] <= 1.0


def _kept(folder: Path, rng: np.random.Generator, subject: str, sign: float) -> str:
    """Rollouts that lie on one side on held-out questions, on the other on extraction ones."""
    ids = [f"{subject}-{index}" for index in range(8)]
    splits = {key: "heldout" if index % 2 else "extraction" for index, key in enumerate(ids)}
    questions = {key: f"q{index % 4}" for index, key in enumerate(ids)}
    kept = KeptRollouts(dict.fromkeys(ids, subject), questions, splits, set(), {0, 1})
    sides = np.asarray([sign if splits[key] == "heldout" else -sign for key in ids])
    vectors = sides[:, np.newaxis] * np.eye(4)[0] + 0.01 * rng.normal(size=(8, 4))
    # At the other layer it is the other way round.
    kept.add(Block("response_mean", ids, [0, 1], np.stack([-vectors, vectors], 1).astype("f4")))
    path = folder / f"{subject}.parquet"
    tables.write(kept.table(), path, "kept_activations", {})
    return str(path)


def _write(rows: list[dict[str, Any]], path: Path, kind: str) -> None:
    table = tables.from_rows(rows, kind)
    if "vector" in table.column_names:
        at, width = table.column_names.index("vector"), pa.binary(len(rows[0]["vector"]))
        table = table.set_column(at, "vector", table["vector"].cast(width))
    tables.write(table, path, kind, {})


def _bytes(vector: np.ndarray) -> bytes:
    return vector.astype("<f4").tobytes()
