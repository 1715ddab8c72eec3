"""Split-half reliability separates signal from noise; random directions match in norm."""

import numpy as np
import pytest

from personae.data.activation_blocks import Block
from personae.science.activation_sums import CellSums
from personae.science.projection import cosine
from personae.science.reliability import SummedContrast, random_direction, split_half_reliability

from .planted import build_world

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def contrast(positive: Array, negative: Array, questions: tuple[Array, Array]) -> SummedContrast:
    """Sum the rollouts ``[n, layers, hidden]`` of both sides by question."""
    summed = []
    for rollouts, asked in zip((positive, negative), questions, strict=True):
        ids = [str(i) for i in range(len(rollouts))]
        cells = CellSums(dict(zip(ids, asked.tolist(), strict=True)), int(questions[0].max()) + 1)
        layers = list(range(rollouts.shape[1]))
        cells.add(Block("response_mean", ids, layers, rollouts.astype(np.float32)))
        summed.append(cells.sums())
    totals = [side.counts.sum() for side in summed]
    return SummedContrast(
        np.stack([side.vectors / n for side, n in zip(summed, totals, strict=True)]),
        np.stack([side.counts / n for side, n in zip(summed, totals, strict=True)]),
    )


def test_strong_contrast_is_reliable_and_noise_is_not() -> None:
    world = build_world()
    arguments = {"splits": 50, "seed": 1}
    roles = world.roles.reshape(-1, *world.default.shape[1:])
    asked = (world.questions, np.tile(world.questions, len(world.roles)))
    strong = split_half_reliability(contrast(world.default, roles, asked), **arguments)
    assert (strong.cosine > 0.9).all()
    assert (strong.low <= strong.cosine).all()
    assert (strong.cosine <= strong.high).all()
    assert strong[4:] == (6, 50)
    np.testing.assert_allclose(strong.p, 1 / 32)  # 2 ** 5 exchanges of six folds

    noise = np.random.default_rng(2).standard_normal((400, 3, 32))
    asked = (np.arange(200) // 10, np.arange(200) // 10)
    weak = split_half_reliability(contrast(noise[::2], noise[1::2], asked), **arguments)
    assert (np.abs(weak.cosine) < 0.35).all()
    assert (weak.low < 0.35).all()
    assert weak.p.min() > 0.005


def test_split_halves_equal_a_direct_computation() -> None:
    activations = np.random.default_rng(5).standard_normal((12, 2, 8))
    questions = np.repeat([0, 1], 3)
    toward, away = activations[::2], activations[1::2]
    result = split_half_reliability(
        contrast(toward, away, (questions, questions)), splits=4, seed=0
    )
    halves = [
        toward[questions == q].mean(axis=0) - away[questions == q].mean(axis=0) for q in (0, 1)
    ]
    np.testing.assert_allclose(result.cosine, cosine(*halves), rtol=1e-5)


def test_a_fold_without_rollouts_is_left_out() -> None:
    activations = np.random.default_rng(5).standard_normal((12, 2, 8))
    near, far = np.repeat([0, 1], 3), np.repeat([0, 3], 3)
    found = [
        split_half_reliability(
            contrast(activations[::2], activations[1::2], (asked, asked)), splits=4, seed=0
        )
        for asked in (near, far)
    ]
    np.testing.assert_array_equal(found[0].cosine, found[1].cosine)
    assert found[1].n_questions == 2


def test_one_question_gives_no_reliability() -> None:
    ones, asked = np.ones((1, 3, 4)), (np.zeros(1, int), np.zeros(1, int))
    result = split_half_reliability(contrast(ones, ones, asked), splits=3, seed=0)
    assert np.isnan([result.cosine, result.low, result.high, result.p]).all()


def test_contrast_needs_two_sides() -> None:
    one_sided = SummedContrast(np.ones((2, 2, 3, 4)), np.array([[0.5, 0.5], [0.0, 0.0]]))
    with pytest.raises(ValueError, match="a positive and a negative side"):
        split_half_reliability(one_sided, splits=3, seed=0)


def test_random_direction_matches_norms_and_nothing_else() -> None:
    like = np.random.default_rng(0).standard_normal((4, 4096)) * [[1], [10], [0.1], [3]]
    drawn = random_direction(like, seed=3)
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=1), np.linalg.norm(like, axis=1))
    assert (np.abs(cosine(drawn, like)) < 0.08).all()
    assert np.abs(cosine(drawn[:1], drawn[1:])).max() < 0.08
    np.testing.assert_array_equal(drawn, random_direction(like, seed=3))
    assert not np.allclose(drawn, random_direction(like, seed=4))


def test_without_a_contrast_p_is_uniform() -> None:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(80):
        shared = rng.normal(size=(6, 1, 16))  # of the question, in both sides
        sides = np.stack([shared + rng.normal(size=(6, 1, 16)) for _ in range(2)]) / 6
        made = split_half_reliability(
            SummedContrast(sides, np.full((2, 6), 1 / 6)), splits=30, seed=0
        )
        found.append(made.p[0])
    assert 0.4 < np.mean(found) < 0.6
    assert sum(p <= 0.05 for p in found) <= 9
