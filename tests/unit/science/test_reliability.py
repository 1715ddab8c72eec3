"""Split-half reliability separates signal from noise; random directions match in norm."""

import numpy as np
import pytest

from personae.science.projection import cosine
from personae.science.reliability import contrast_weights, random_direction, split_half_reliability
from personae.science.vectors import assistant_axis

from .planted import World, build_world


def axis_weights(world: World) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    groups = np.repeat(np.arange(len(world.roles) + 1), len(world.default))
    return contrast_weights(world.is_default, groups)


def test_contrast_weights_reproduce_the_axis_with_unequal_groups() -> None:
    world = build_world()
    # Leave out most rollouts of one role: it must still weigh as much as the others.
    keep = np.ones(len(world.rollouts), dtype=bool)
    keep[-20:] = False
    groups = np.repeat(np.arange(13), 24)[keep]
    weights = contrast_weights(world.is_default[keep], groups)
    roles = [world.rollouts[keep][groups == role].mean(axis=0) for role in range(1, 13)]
    expected = assistant_axis(world.default_vector, np.stack(roles))
    axis = np.einsum("n,nlh->lh", weights, world.rollouts[keep])
    np.testing.assert_allclose(axis, expected, atol=1e-10)


def test_strong_contrast_is_reliable_and_noise_is_not() -> None:
    world = build_world()
    arguments = {"splits": 50, "seed": 1}
    strong = split_half_reliability(
        world.rollouts, axis_weights(world), world.all_questions, **arguments
    )
    assert (strong.cosine > 0.9).all()
    assert (strong.low <= strong.cosine).all()
    assert (strong.cosine <= strong.high).all()
    assert strong[3:] == (6, 50)

    noise = np.random.default_rng(2).standard_normal((400, 3, 32))
    weights = contrast_weights(np.arange(400) % 2 == 0, np.zeros(400))
    weak = split_half_reliability(noise, weights, np.arange(400) // 20, **arguments)
    assert (np.abs(weak.cosine) < 0.35).all()


def test_split_halves_equal_a_direct_computation() -> None:
    rng = np.random.default_rng(5)
    activations, questions = rng.standard_normal((12, 2, 8)), np.repeat(["a", "b"], 6)
    positive = np.tile([True, False], 6)
    result = split_half_reliability(
        activations, contrast_weights(positive, np.zeros(12)), questions, splits=4, seed=0
    )

    def contrast(question: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        here = questions == question
        toward, away = activations[here & positive], activations[here & ~positive]
        return np.asarray(toward.mean(axis=0) - away.mean(axis=0))

    np.testing.assert_allclose(result.cosine, cosine(contrast("a"), contrast("b")))


def test_one_question_gives_no_reliability() -> None:
    weights = contrast_weights(np.array([True, False]), [0, 0])
    result = split_half_reliability(np.ones((2, 3, 4)), weights, ["q", "q"], splits=3, seed=0)
    assert np.isnan([result.cosine, result.low, result.high]).all()


def test_contrast_needs_two_sides() -> None:
    weights = contrast_weights(np.array([True, True]), [0, 0])
    with pytest.raises(ValueError, match="a positive and a negative side"):
        split_half_reliability(np.ones((2, 3, 4)), weights, ["p", "q"], splits=3, seed=0)


def test_random_direction_matches_norms_and_nothing_else() -> None:
    like = np.random.default_rng(0).standard_normal((4, 4096)) * [[1], [10], [0.1], [3]]
    drawn = random_direction(like, seed=3)
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=1), np.linalg.norm(like, axis=1))
    assert (np.abs(cosine(drawn, like)) < 0.08).all()
    assert np.abs(cosine(drawn[:1], drawn[1:])).max() < 0.08
    np.testing.assert_array_equal(drawn, random_direction(like, seed=3))
    assert not np.allclose(drawn, random_direction(like, seed=4))
