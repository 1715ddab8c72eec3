"""PCA, dimension, cosine matrices and RSA on planted spaces."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn import decomposition

from personae.science.geometry import (
    components_for_variance,
    cosine_matrix,
    outlier_dimensions,
    participation_ratio,
    pca,
    rsa,
)
from personae.science.projection import cosine

from .planted import build_world


@pytest.mark.parametrize("standardise", [False, True])
def test_pca_agrees_with_scikit_learn_at_every_layer(standardise: bool) -> None:
    world = build_world()
    vectors = world.role_vectors
    space = pca(vectors, standardise=standardise, toward=world.direction, n_components=5)
    for layer in range(3):
        data = vectors[:, layer]
        if standardise:
            data = (data - data.mean(axis=0)) / data.std(axis=0, ddof=1)
        reference = decomposition.PCA().fit(data)
        np.testing.assert_allclose(
            space.explained[layer], reference.explained_variance_ratio_[:11], atol=1e-10
        )
        np.testing.assert_allclose(space.variance[layer], reference.explained_variance_[:11])
        agreement = cosine(space.components[layer], reference.components_[:5])
        np.testing.assert_allclose(np.abs(agreement), 1.0, atol=1e-8)
        expected = reference.transform(data)[:, :5] * np.sign(agreement)
        np.testing.assert_allclose(space.coordinates[:, layer], expected, atol=1e-8)


def test_components_are_signed_toward_the_given_direction() -> None:
    world = build_world()
    space = pca(world.role_vectors, standardise=False, toward=world.direction)
    assert cosine(space.components[:, 0], world.direction).min() > 0.98
    flipped = pca(world.role_vectors, standardise=False, toward=-world.direction)
    np.testing.assert_allclose(flipped.components, -space.components)
    np.testing.assert_allclose(flipped.coordinates, -space.coordinates)


def test_transform_gives_the_fitted_coordinates_and_places_others() -> None:
    world = build_world()
    space = pca(world.role_vectors, standardise=True, toward=world.direction)
    np.testing.assert_allclose(space.transform(world.role_vectors), space.coordinates, atol=1e-8)
    default = space.transform(world.default_vector[np.newaxis])[0, :, 0]
    assert (default > space.coordinates[..., 0].max(axis=0)).all()


def test_components_beyond_the_rank_are_zero() -> None:
    line = np.linspace(0.0, 1.0, 6)[:, None, None] * np.ones((1, 2, 4))
    space = pca(line, standardise=False, toward=np.ones((2, 4)))
    np.testing.assert_allclose(space.explained[:, 0], 1.0)
    np.testing.assert_array_equal(space.components[:, 1:], 0.0)


def test_zscoring_disarms_a_massive_dimension() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((20, 1, 16))
    vectors[:, 0, 3] *= 1000.0
    toward = np.ones((1, 16))
    raw = pca(vectors, standardise=False, toward=toward)
    scaled = pca(vectors, standardise=True, toward=toward)
    assert raw.explained[0, 0] > 0.99
    assert raw.components[0, 0, 3] > 0.999
    assert scaled.explained[0, 0] < 0.3
    (outlier,) = outlier_dimensions(vectors, times_median=100.0)
    assert (outlier.layer, outlier.dimension) == (0, 3)
    assert outlier.variance_share > 0.99
    assert outlier.times_median > 1e5


def test_pca_leaves_its_input_untouched() -> None:
    vectors = np.random.default_rng(0).standard_normal((5, 1, 4))
    before = vectors.copy()
    pca(vectors, standardise=True, toward=np.ones((1, 4)))
    np.testing.assert_array_equal(vectors, before)


def test_constant_dimension_survives_zscoring() -> None:
    vectors = np.random.default_rng(0).standard_normal((5, 1, 4))
    vectors[..., 2] = 7.0
    space = pca(vectors, standardise=True, toward=np.ones((1, 4)))
    assert np.isfinite(space.components).all()
    np.testing.assert_array_equal(space.components[..., 2], 0.0)


def test_pca_of_one_role_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 role vectors, got 1"):
        pca(np.ones((1, 2, 4)), standardise=False, toward=np.ones((2, 4)))


def test_dimension_measures_on_known_spectra() -> None:
    spectra = np.array([[1.0, 1.0, 1.0, 1.0], [4.0, 0.0, 0.0, 0.0], [0.5, 0.2, 0.2, 0.1]])
    np.testing.assert_allclose(participation_ratio(spectra[:2]), [4.0, 1.0])
    shares = spectra / spectra.sum(axis=1, keepdims=True)
    assert components_for_variance(shares, 0.7).tolist() == [3, 1, 2]
    assert components_for_variance(shares, 1.0).tolist() == [4, 1, 4]


def test_cosine_matrix_within_and_between_families() -> None:
    a = np.array([[[1.0, 0.0]], [[0.0, 2.0]]])
    b = np.array([[[-3.0, 0.0]], [[1.0, 1.0]], [[0.0, 1.0]]])
    np.testing.assert_allclose(cosine_matrix(a, a), [np.eye(2)])
    root = np.sqrt(0.5)
    np.testing.assert_allclose(cosine_matrix(a, b), [[[-1, root, 0], [0, root, 1]]], atol=1e-12)


def test_rsa_finds_a_shared_space_and_not_an_unrelated_one() -> None:
    rng = np.random.default_rng(0)
    points = rng.standard_normal((15, 1, 4))
    rotated = points @ np.linalg.qr(rng.standard_normal((9, 9)))[0][:4]
    here, there = (cosine_matrix(x, x)[0] for x in (points, rotated))
    same = rsa(here, there, permutations=200, seed=1)
    assert same.interval.estimate == pytest.approx(1.0)
    assert same.p == pytest.approx(1 / 201)
    other = rng.standard_normal((15, 1, 4))
    matrix = cosine_matrix(other, other)[0]
    unrelated = rsa(here, matrix, permutations=200, seed=1)
    upper = np.triu_indices(15, k=1)
    assert unrelated.interval.estimate == pytest.approx(
        spearmanr(here[upper], matrix[upper]).statistic
    )
    assert unrelated.p > 0.05
    assert abs(unrelated.interval.estimate) < unrelated.null_high + 0.2


def test_rsa_refuses_other_shapes_and_too_few_roles() -> None:
    with pytest.raises(ValueError, match=r"\(5, 5\) and \(4, 4\)"):
        rsa(np.eye(5), np.eye(4), permutations=5, seed=0)
    with pytest.raises(ValueError, match="n >= 4"):
        rsa(np.eye(3), np.eye(3), permutations=5, seed=0)
