"""Tables of vectors become arrays in the right order, or are rejected."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from personae.data.vector_stacks import of_span, stack, vector_rows


def table(keys: list[str], layers: list[int], seed: int = 0) -> tuple[pa.Table, np.ndarray]:
    vectors = np.random.default_rng(seed).normal(size=(len(keys), len(layers), 4)).astype("f4")
    parts = [
        pa.table({"key": [key] * len(layers), **vector_rows(family, layers)})
        for key, family in zip(keys, vectors, strict=True)
    ]
    return pa.concat_tables(parts), vectors


def test_stack_recovers_every_vector_whatever_the_order_of_rows() -> None:
    made, vectors = table(["b", "a", "c"], [0, 3, 7])
    shuffled = made.take(np.random.default_rng(1).permutation(made.num_rows))
    found = stack(shuffled, "key").select(["b", "a", "c"])
    assert found.layers == [0, 3, 7]
    assert found.vectors.dtype == np.float32
    np.testing.assert_array_equal(found.vectors, vectors)


def test_stack_refuses_a_missing_layer_and_a_repeated_key() -> None:
    made, _ = table(["a", "b"], [0, 1])
    with pytest.raises(ValueError, match="incomplete"):
        stack(made.slice(1), "key")
    with pytest.raises(ValueError, match="incomplete"):
        stack(pa.concat_tables([made, made]), "key")


def test_of_span_keeps_one_span() -> None:
    made, _ = table(["a"], [0, 1])
    both = made.append_column("span", pa.array(["response_mean", "last_prompt"]))
    assert of_span(both, "last_prompt")["layer"].to_pylist() == [1]
