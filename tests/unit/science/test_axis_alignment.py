"""Axis against PC1: estimate, bootstraps and nulls."""

from pathlib import Path

import numpy as np
import pytest

from personae.science.alignment import (
    FloatArray,
    LayerIntervals,
    axis_component_cosines,
    jackknife_roles,
)
from personae.science.alignment_nulls import (
    ScaledDirection,
    contrast_weights,
    isotropic_cosine,
    label_shuffles,
    placebo_cosines,
    shuffled_axis_null,
)
from personae.science.geometry import PCA, pca
from personae.science.jackknife import FISHER, jackknife_interval
from personae.science.leading_eigenvector import leading_pairs
from personae.science.permutations import permutation_p, permuted_labels
from personae.science.projection import cosine
from personae.science.question_spread import question_intervals
from personae.science.question_sums import QuestionSums, sums_by_question
from personae.science.vectors import assistant_axis

from .planted import World, build_world


def space_and_axis(world: World) -> tuple[PCA, np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    axis = assistant_axis(world.default_vector, world.role_vectors)
    return pca(world.role_vectors, standardise=False, toward=axis), axis


def over_questions(world: World, folder: Path, *, absent: int = 0) -> LayerIntervals:
    """Return intervals over questions at every layer, with rows that have no rollout at the end."""
    every, found = np.unique(world.questions), []
    subjects, n_rows = [world.default, *world.roles], len(world.roles) + absent
    _, n_layers, hidden = world.default.shape
    for layer in range(n_layers):
        with QuestionSums(
            folder, n_questions=len(every), n_subjects=1 + n_rows, hidden=hidden
        ) as sums:
            for i, rollouts in enumerate(subjects):
                here = rollouts[:, layer].astype(np.float64)
                sums.put(i, *sums_by_question(here, world.questions, every))
            found.append(question_intervals(sums, np.ones(n_rows, dtype=bool), np.ones(hidden)))
    return LayerIntervals(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def test_axis_aligns_with_pc1_where_roles_spread_along_it() -> None:
    space, axis = space_and_axis(build_world())
    cosines = axis_component_cosines(space, axis)
    assert cosines.shape == (3, 11)
    assert (cosines[:, 0] > 0.95).all()
    assert (cosines[:, 1:] < 0.3).all()
    assert (np.square(cosines).sum(axis=1) <= 1.0 + 1e-12).all()


def test_zscored_space_scales_the_axis_too() -> None:
    world = build_world()
    axis = assistant_axis(world.default_vector, world.role_vectors)
    space = pca(world.role_vectors, standardise=True, toward=axis)
    scaled_space = pca(world.role_vectors / space.scale, standardise=False, toward=axis)
    np.testing.assert_allclose(
        axis_component_cosines(space, axis)[:, 0],
        axis_component_cosines(scaled_space, axis / space.scale)[:, 0],
    )


def test_bootstrap_estimates_equal_the_pca(tmp_path: Path) -> None:
    world = build_world()
    space, axis = space_and_axis(world)
    expected = axis_component_cosines(space, axis)[:, 0]
    roles = jackknife_roles(world.default_vector, world.role_vectors)
    questions = over_questions(world, tmp_path)
    for intervals in (roles, questions):
        np.testing.assert_allclose(intervals.estimate, expected, atol=1e-8)
        assert (intervals.low < intervals.high).all()
        assert (intervals.low > 0.8).all()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_two_roles_have_no_interval(n: int) -> None:
    world = build_world()
    found = jackknife_roles(world.default_vector, world.role_vectors[:n])
    assert np.isnan(found.low).all() == np.isnan(found.high).all() == (n < 3)


def jackknifed(without: list[np.ndarray], estimate: np.ndarray) -> np.ndarray:
    """Return lower bounds ``[layers]`` from |cos| ``[layers]`` without each cluster."""
    columns = np.array(without).T
    pairs = zip(estimate, columns, strict=True)
    return np.array([jackknife_interval(float(e), c, FISHER).low for e, c in pairs])


def test_roles_are_left_out_of_axis_and_components() -> None:
    world = build_world()
    found = jackknife_roles(world.default_vector, world.role_vectors)
    without = []
    for role in range(12):
        roles = np.delete(world.role_vectors, role, axis=0)
        axis = assistant_axis(world.default_vector, roles)
        space = pca(roles, standardise=False, toward=axis)
        without.append(axis_component_cosines(space, axis)[:, 0])
    np.testing.assert_allclose(found.low, jackknifed(without, found.estimate), atol=1e-6)


def test_both_vectors_of_a_role_are_left_out_and_only_fully_ones_make_the_axis() -> None:
    world = build_world()
    fully, somewhat = world.role_vectors, 0.5 * world.role_vectors[:5] + 1.0
    rows = np.concatenate([fully, somewhat])
    names = [f"{i:02}" for i in (*range(12), *range(5))]
    member = np.arange(17) < 12
    found = jackknife_roles(world.default_vector, rows, names=names, in_axis=member)
    without = []
    for role in range(12):
        kept = np.array([name != f"{role:02}" for name in names])
        axis = assistant_axis(world.default_vector, rows[kept & member])
        space = pca(rows[kept], standardise=False, toward=axis)
        without.append(axis_component_cosines(space, axis)[:, 0])
    np.testing.assert_allclose(found.low, jackknifed(without, found.estimate), atol=1e-6)


def test_iteration_finds_the_leading_pairs_that_a_full_solve_finds() -> None:
    rng = np.random.default_rng(0)
    for n, decay in ((3, 0.5), (40, 0.9), (150, 0.995)):
        basis = np.linalg.qr(rng.standard_normal((5, n, n)))[0]
        matrices = basis * decay ** np.arange(n) @ basis.mT
        start = basis[:, :, 1]  # orthogonal to the answer
        found = leading_pairs(lambda v, m=matrices: (m @ v[:, :, None])[:, :, 0], start)
        np.testing.assert_allclose(found.values, 1.0, rtol=1e-10)
        along = np.abs((found.vectors * basis[:, :, 0]).sum(axis=1))
        np.testing.assert_allclose(along, 1.0, atol=1e-10)
    nothing = leading_pairs(np.zeros_like, np.zeros((2, 4)))
    assert nothing.values.tolist() == [0.0, 0.0]


def test_close_eigenvalues_do_not_slow_the_iteration() -> None:
    """Vectors of noise alone: the largest eigenvalue exceeds the next by less than 1 %."""
    rows = np.random.default_rng(0).standard_normal((4, 300, 2000))
    grams, products = rows @ rows.mT, 0

    def apply(vectors: FloatArray) -> FloatArray:
        nonlocal products
        products += 1
        return np.asarray((grams @ vectors[:, :, np.newaxis])[:, :, 0])

    found = leading_pairs(apply, np.ones((4, 300)))
    values, basis = np.linalg.eigh(grams)
    assert (values[:, -2] / values[:, -1]).max() > 0.99
    np.testing.assert_allclose(found.values, values[:, -1], rtol=1e-10)
    np.testing.assert_allclose(
        np.abs((found.vectors * basis[:, :, -1]).sum(axis=1)), 1.0, atol=1e-10
    )
    assert products < 120  # restarts that keep one vector take more than 200


@pytest.mark.parametrize("hidden", [32, 300], ids=["spanned", "wider than the span and a block"])
def test_questions_are_left_out_for_all_subjects(hidden: int, tmp_path: Path) -> None:
    world = build_world(hidden=hidden)
    found = over_questions(world, tmp_path)
    without = []
    for question in range(6):
        rows = np.flatnonzero(world.questions != question)
        roles = world.roles[:, rows].mean(axis=1)
        axis = assistant_axis(world.default[rows].mean(axis=0), roles)
        space = pca(roles, standardise=False, toward=axis)
        without.append(axis_component_cosines(space, axis)[:, 0])
    np.testing.assert_allclose(found.low, jackknifed(without, found.estimate), atol=1e-6)


def test_role_without_rollouts_on_drawn_questions_has_no_weight(tmp_path: Path) -> None:
    world = build_world()
    with_empty = over_questions(world, tmp_path, absent=1)
    without = over_questions(world, tmp_path)
    np.testing.assert_allclose(with_empty.estimate, without.estimate)
    np.testing.assert_allclose(with_empty.low, without.low)


def test_single_cluster_gives_an_estimate_without_bounds(tmp_path: Path) -> None:
    result = over_questions(build_world(n_questions=1), tmp_path)
    assert np.isfinite(result.estimate).all()
    assert np.isnan([result.low, result.high]).all()


def test_unknown_question_is_refused() -> None:
    with pytest.raises(ValueError, match="'c' is not among the 2 questions"):
        sums_by_question(np.ones((2, 3)), ["a", "c"], ["a", "b"])


def one_role(is_default: np.ndarray) -> np.ndarray:
    """Return the weights of an axis away from one role."""
    return contrast_weights(is_default, np.zeros(len(is_default)))


def test_shuffled_labels_rarely_align_as_the_axis_does() -> None:
    world = build_world()
    space, axis = space_and_axis(world)
    pc1 = space.components[:, 0]
    scales = (np.ones((3, 32)), np.linspace(0.5, 2.0, 96).reshape(3, 32))
    null, scaled = shuffled_axis_null(
        world.rollouts,
        label_shuffles(one_role(world.is_default), 200, 2, world.all_questions),
        [ScaledDirection(pc1, scale) for scale in scales],
    )
    assert null.shape == (200, 3)
    labels = permuted_labels(world.is_default, 200, 2, world.all_questions)[7]
    for found, scale in ((null, scales[0]), (scaled, scales[1])):
        rollouts = world.rollouts / scale
        by_hand = rollouts[labels].mean(axis=0) - rollouts[~labels].mean(axis=0)
        np.testing.assert_allclose(found[7], np.abs(cosine(by_hand, pc1)), atol=1e-10)
    observed = axis_component_cosines(space, axis)[:, 0]
    assert (permutation_p(observed, null) < 0.05).all()
    # A random division aligns with PC1 far more than a random direction does.
    assert (np.median(null, axis=0) > isotropic_cosine(32, 0.5)).all()


def test_shuffled_null_is_uniform_when_default_is_like_a_role() -> None:
    p_values = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        rollouts, is_default = rng.standard_normal((40, 1, 8)), np.arange(40) < 10
        direction = np.eye(8)[:1]
        axis = rollouts[is_default].mean(axis=0) - rollouts[~is_default].mean(axis=0)
        observed = np.abs(axis[:, 0]) / np.linalg.norm(axis, axis=1)
        directions = [ScaledDirection(direction, np.ones((1, 8)))]
        shuffles = label_shuffles(one_role(is_default), 99, seed)
        (null,) = shuffled_axis_null(rollouts, shuffles, directions)
        p_values.append(permutation_p(observed, null)[0])
    assert 0.35 < np.mean(p_values) < 0.65
    assert np.mean(np.array(p_values) <= 0.1) < 0.25


def test_the_null_shuffles_the_weights_of_the_axis_within_questions() -> None:
    """Roles with few rollouts weigh as much as those with many, in the null as in the axis."""
    rng = np.random.default_rng(3)
    subjects = np.array(["default"] * 4 + ["a"] * 12 + ["b"] * 4)
    questions = np.tile(["q1", "q2"], 10)
    rollouts = rng.standard_normal((20, 1, 6))
    weights = contrast_weights(subjects == "default", subjects)
    shuffles = label_shuffles(weights, 50, 1, questions)
    for question in ("q1", "q2"):
        here = questions == question
        assert sorted(shuffles[9, here]) == sorted(weights[here])
    directions = [ScaledDirection(np.eye(6)[:1], np.ones((1, 6)))]
    (null,) = shuffled_axis_null(rollouts, shuffles, directions)
    axis = (shuffles[9][:, np.newaxis] * rollouts[:, 0]).sum(axis=0)
    assert null[9, 0] == pytest.approx(abs(axis[0]) / np.linalg.norm(axis))


def test_placebo_axes_point_each_role_out_in_turn() -> None:
    world = build_world()
    space, _ = space_and_axis(world)
    null = placebo_cosines(world.default_vector, world.role_vectors, space.components[:, 0])
    assert null.shape == (12, 3)
    everyone = np.concatenate([world.default_vector[np.newaxis], world.role_vectors])
    others = np.delete(everyone, 4, axis=0).mean(axis=0)
    expected = np.einsum("lh,lh->l", everyone[4] - others, space.components[:, 0])
    expected /= np.linalg.norm(everyone[4] - others, axis=1)
    np.testing.assert_allclose(null[3], np.abs(expected))


def test_isotropic_cosine_matches_random_draws() -> None:
    drawn = np.random.default_rng(0).standard_normal((20_000, 64))
    cosines = np.abs(drawn[:, 0]) / np.linalg.norm(drawn, axis=1)
    assert isotropic_cosine(64, 0.95) == pytest.approx(np.quantile(cosines, 0.95), rel=0.03)
