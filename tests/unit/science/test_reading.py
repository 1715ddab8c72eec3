"""Vectors read as tokens and as features, with planted answers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from personae.science.chosen_vectors import ChosenVector
from personae.science.sparse_features import SparseAutoencoder, feature_rows
from personae.science.token_reading import token_rows

HIDDEN, FEATURES = 32, 64
WORDS = [f"w{i}" for i in range(100)]


def head() -> NDArray[np.float32]:
    columns = np.random.default_rng(0).normal(size=(HIDDEN, len(WORDS))).astype(np.float32)
    return np.asarray(columns / np.linalg.norm(columns, axis=0))


def read(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    scaled = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(scaled @ head(), dtype=np.float32)


def test_the_planted_token_is_read_on_its_side_and_beyond_the_null() -> None:
    vector = head()[:, 7] - head()[:, 50]
    rows = token_rows({"t": ChosenVector(3, vector)}, read, WORDS.__getitem__, 4, seed=1)
    first = {row["side"]: row for row in rows if row["rank"] == 1}
    assert (first["toward"]["token"], first["away"]["token"]) == ("w7", "w50")
    assert first["toward"]["logit"] > first["toward"]["null_p95"]
    assert first["away"]["logit"] > first["away"]["null_p95"]
    assert len(rows) == 8
    assert {row["layer"] for row in rows} == {3}


def test_a_random_vector_mostly_stays_within_the_null() -> None:
    beyond = 0
    for seed in range(40):
        vector = np.random.default_rng([5, seed]).normal(size=HIDDEN).astype(np.float32)
        rows = token_rows({"t": ChosenVector(0, vector)}, read, WORDS.__getitem__, 1, seed)
        beyond += sum(row["logit"] > row["null_p95"] for row in rows)
    assert beyond <= 12  # of 80 sides; 4 are expected


def planted_autoencoder() -> SparseAutoencoder:
    rng = np.random.default_rng(2)
    decoder = rng.normal(size=(FEATURES, HIDDEN)).astype(np.float32)
    decoder /= np.linalg.norm(decoder, axis=1, keepdims=True)
    zeros = np.zeros
    return SparseAutoencoder(
        np.ascontiguousarray(decoder.T),
        decoder,
        zeros(FEATURES, np.float32),
        zeros(HIDDEN, np.float32),
        "jumprelu",
        threshold=np.full(FEATURES, 0.5, np.float32),
    )


def test_planted_features_are_found_by_cosine_and_by_activation() -> None:
    """Feature 9 is on under positive prompts, feature 40 under negative ones."""
    made, rng = planted_autoencoder(), np.random.default_rng(3)
    noise = rng.normal(0, 0.1, size=(2, 30, HIDDEN)).astype(np.float32)
    positive = 4 * made.decoder[9] + noise[0]
    negative = 4 * made.decoder[40] + noise[1]
    vector = (positive.mean(axis=0) - negative.mean(axis=0)).astype(np.float32)
    rows = feature_rows(made, vector, positive, negative, 3, 1, {9: "pirates"})
    first = {(row["by"], row["side"]): row for row in rows if row["rank"] == 1}
    for by in ("cosine", "activation"):
        assert first[by, "toward"]["feature"] == 9
        assert first[by, "toward"]["name"] == "pirates"
        assert first[by, "away"]["feature"] == 40
        assert first[by, "toward"]["value"] > first[by, "toward"]["null_p95"]


def test_without_a_difference_no_feature_stands_out() -> None:
    made, rng = planted_autoencoder(), np.random.default_rng(4)
    both = rng.normal(size=(2, 40, HIDDEN)).astype(np.float32)
    vector = rng.normal(size=HIDDEN).astype(np.float32)
    rows = feature_rows(made, vector, both[0], both[1], 1, 1, {})
    by_activation = [row for row in rows if row["by"] == "activation"]
    assert all(row["value"] < 1.5 * row["null_p95"] for row in by_activation)
    assert all(row["name"] == "" for row in rows)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("relu", [0.2, 0.0, 3.0]), ("jumprelu", [0.0, 0.0, 3.0]), ("topk", [0.0, 0.0, 3.0])],
)
def test_each_nonlinearity_keeps_what_it_should(kind: str, expected: list[float]) -> None:
    eye = np.eye(3, dtype=np.float32)
    made = SparseAutoencoder(
        eye, eye, np.zeros(3, np.float32), np.ones(3, np.float32), kind,  # type: ignore[arg-type]
        threshold=np.full(3, 0.5, np.float32), k=1, centred=True,
    )  # fmt: skip
    assert made.encode(np.array([[1.2, 0.5, 4.0]]))[0] == pytest.approx(expected)
    assert made.decode(np.array([[0.0, 0.0, 3.0]], np.float32))[0] == pytest.approx([1, 1, 4])
