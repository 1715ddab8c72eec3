"""Random directions: isotropic ones ignore the stream's covariance, the others have it."""

from __future__ import annotations

import numpy as np

from personae.science.null_directions import OF_EACH_KIND, null_directions


def test_directions_of_the_stream_vary_as_the_stream_does_within_groups() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(["a", "b", "c"], 40)
    stream = rng.normal(size=(120, 32))
    stream[:, 0] *= 20.0  # within groups the stream varies along the first dimension
    stream[:, 1] += np.repeat([0.0, 500.0, 1000.0], 40)  # between them along the second
    found = null_directions(stream, groups, 1)
    assert len(found) == 2 * OF_EACH_KIND >= 40
    kinds = {
        kind: np.abs([v for name, v in found.items() if kind in name])
        for kind in ("isotropic", "stream")
    }
    for family in kinds.values():
        np.testing.assert_allclose(np.linalg.norm(family, axis=1), 1.0)
    assert np.median(kinds["stream"][:, 0]) > 0.8
    assert np.median(kinds["stream"][:, 1]) < 0.3
    assert np.median(kinds["isotropic"][:, 0]) < 0.3


def test_the_draw_is_that_of_its_seed() -> None:
    stream = np.random.default_rng(0).normal(size=(20, 8))
    one, same, other = (null_directions(stream, ["g"] * 20, seed) for seed in (1, 1, 2))
    assert all((one[name] == same[name]).all() for name in one)
    assert not np.allclose(one["random_stream00"], other["random_stream00"])


def test_without_variation_within_groups_there_are_isotropic_directions_alone() -> None:
    stream = np.random.default_rng(0).normal(size=(3, 8))
    found = null_directions(stream, ["a", "b", "c"], 0)
    assert len(found) == OF_EACH_KIND
    assert all(name.startswith("random_isotropic") for name in found)
