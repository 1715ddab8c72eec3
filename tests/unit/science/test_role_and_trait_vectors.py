"""Role vectors, axis and trait vectors recover planted directions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from personae.science.projection import cosine, project
from personae.science.trait_filter import Pairing, Ratings, effective_pairs
from personae.science.vectors import (
    assistant_axis,
    check_axis,
    mean_activation,
    role_vectors,
    trait_vectors,
)

from .planted import build_world


def test_role_vectors_keep_fully_and_somewhat_apart() -> None:
    scores = [3, 3, 2, 2, 1, 0, None]
    activations = np.arange(7, dtype=np.float32)[:, None, None] * np.ones((7, 2, 4), np.float32)
    result = role_vectors(activations, scores, min_fully=2, min_somewhat=2)
    assert result.fully is not None
    assert result.somewhat is not None
    np.testing.assert_array_equal(result.fully, np.full((2, 4), 0.5))
    np.testing.assert_array_equal(result.somewhat, np.full((2, 4), 2.5))
    assert result[2:] == (2, 2, 6, 1)
    assert result.fully.dtype == np.float64


def test_unscored_rollouts_never_enter_a_role_vector() -> None:
    activations = np.ones((4, 1, 2), np.float32)
    activations[2:] = 1e6
    result = role_vectors(activations, [3, 3, None, np.nan], min_fully=2, min_somewhat=1)
    assert result.fully is not None
    np.testing.assert_array_equal(result.fully, np.ones((1, 2)))
    assert result.n_unscored == 2


def test_too_few_rollouts_give_no_role_vector() -> None:
    result = role_vectors(np.ones((3, 1, 2)), [3, 3, 2], min_fully=3, min_somewhat=0)
    assert result.fully is None
    assert result.somewhat is not None
    assert role_vectors(np.ones((1, 1, 2)), [0], min_fully=0, min_somewhat=0).fully is None


@pytest.mark.parametrize("score", [3.5, -1.0])
def test_role_score_outside_the_scale_is_refused(score: float) -> None:
    with pytest.raises(ValueError, match=f"{score} is outside 0-3"):
        role_vectors(np.ones((1, 1, 2)), [score], min_fully=1, min_somewhat=1)


def test_scores_and_activations_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="2 scores for 3 activations"):
        role_vectors(np.ones((3, 1, 2)), [3, 3], min_fully=1, min_somewhat=1)


def test_mean_of_float32_activations_is_accumulated_in_float64() -> None:
    # In float32 the thousands vanish next to 2^24 x 4; in float64 they do not.
    activations = np.full((4096, 1, 1), 3.0, np.float32)
    activations[0] = 2.0**28
    expected = (2.0**28 + 3.0 * 4095) / 4096
    assert mean_activation(activations)[0, 0] == expected


def test_mean_of_no_rollouts_is_refused() -> None:
    with pytest.raises(ValueError, match="0 of 3 rollouts"):
        mean_activation(np.ones((3, 1, 2)), np.zeros(3, dtype=bool))


def test_axis_points_toward_the_default() -> None:
    planted = build_world(samples=50)
    axis = assistant_axis(planted.default_vector, planted.role_vectors)
    assert cosine(axis, planted.direction).min() > 0.98
    default, roles = (project(x, axis).mean(axis=0) for x in (planted.default, planted.roles[0]))
    assert (default > roles).all()


def test_roles_weigh_the_same_in_the_axis() -> None:
    roles = np.array([[[1.0, 0.0]], [[0.0, 1.0]], [[0.0, 1.0]]])
    np.testing.assert_allclose(assistant_axis(np.zeros((1, 2)), roles), [[-1 / 3, -2 / 3]])


def test_axis_saved_as_float32_passes_the_integrity_check() -> None:
    planted = build_world()
    default, roles = planted.default_vector, planted.role_vectors.astype(np.float32)
    axis = assistant_axis(default, roles).astype(np.float32)
    np.testing.assert_allclose(check_axis(axis, default, roles), 1.0, atol=1e-6)


def test_axis_of_other_roles_fails_the_integrity_check() -> None:
    planted = build_world()
    default, roles = planted.default_vector, planted.role_vectors
    axis = assistant_axis(default, roles)
    with pytest.raises(ValueError, match="recomputed from 11 role vectors"):
        check_axis(axis, default, roles[:-1])
    with pytest.raises(ValueError, match=r"cosine -1\.0"):
        check_axis(-axis, default, roles)


@dataclass
class Cells:
    """Two samples in each of four (pair, question) cells, with scores to be filled in."""

    positive: Sequence[float | None]
    negative: Sequence[float | None]
    coherence: Sequence[float | None]

    def ratings(self) -> tuple[Ratings, Ratings]:
        pair, question = [0, 0, 0, 0, 1, 1, 1, 1], ["a", "a", "b", "b"] * 2
        return (
            Ratings(pair, question, [0, 1] * 4, self.positive, self.coherence),
            Ratings(pair, question, [0, 1] * 4, self.negative, [90.0] * 8),
        )


def test_only_effective_cells_are_kept() -> None:
    cells = Cells(
        positive=[90, 70, 40, 40, 80, 80, 90, 90],
        negative=[10, 20, 10, 10, 60, 60, 10, 10],
        coherence=[90, 90, 90, 90, 90, 90, 30, 30],
    )
    kept = effective_pairs(*cells.ratings(), pairing="cell_means", min_trait=50, min_coherence=50)
    # (0,b): positive too low; (1,a): negative too high; (1,b): incoherent.
    assert kept.positive.tolist() == [True, True] + [False] * 6
    assert kept.negative.tolist() == kept.positive.tolist()
    np.testing.assert_array_equal(kept.contrast, [65, 30, 20, 80])
    assert kept[3:] == (4, 1, 0)


def test_coherence_alone_filters_without_a_trait_threshold() -> None:
    cells = Cells([20] * 8, [60] * 8, coherence=[90] * 6 + [30] * 2)
    kept = effective_pairs(*cells.ratings(), pairing="cell_means", min_trait=None, min_coherence=50)
    assert kept.positive.tolist() == [True] * 6 + [False] * 2


def test_cell_mean_decides_and_unscored_samples_are_left_out() -> None:
    cells = Cells(
        positive=[45, 60, 90, None, None, None, 90, 90],
        negative=[10] * 8,
        coherence=[90, 90, 90, 90, 90, 90, None, 90],
    )
    kept = effective_pairs(*cells.ratings(), pairing="cell_means", min_trait=50, min_coherence=50)
    assert kept.positive.tolist() == [True, True, True, False, False, False, False, True]
    assert kept.negative.tolist() == [True, True, True, True, False, False, True, True]
    assert (kept.n_units, kept.n_kept, kept.n_unscored) == (4, 3, 1)


def test_rows_are_judged_pair_by_pair_as_in_the_reference() -> None:
    cells = Cells(
        positive=[90, 40, 60, 60, 90, None, 90, 90],
        negative=[10, 10, 10, 70, 10, 10, 10, 10],
        coherence=[90, 90, 90, 90, 90, 90, 90, 30],
    )
    kept = effective_pairs(*cells.ratings(), pairing="rows", min_trait=50, min_coherence=50)
    expected = [True, False, True, False, True, False, True, False]
    assert kept.positive.tolist() == expected
    assert kept.negative.tolist() == expected
    assert kept[3:] == (8, 4, 1)


def test_rows_are_paired_by_pair_question_and_sample_in_any_order() -> None:
    positive = Ratings([0, 0, 1], ["a", "a", "a"], [0, 1, 0], [90, 90, 90], [90] * 3)
    negative = Ratings([1, 0, 0], ["a", "a", "a"], [0, 1, 0], [80, 10, 90], [90] * 3)
    kept = effective_pairs(positive, negative, pairing="rows", min_trait=50, min_coherence=50)
    assert kept.positive.tolist() == [False, True, False]
    assert kept.negative.tolist() == [False, True, False]


@pytest.mark.parametrize("pairing", ["rows", "cell_means"])
def test_thresholds_are_at_least_for_positive_and_below_the_mirror_for_negative(
    pairing: Pairing,
) -> None:
    kept = effective_pairs(
        Ratings([0, 1, 2], ["a"] * 3, [0] * 3, [60, 60, 59.9], [50] * 3),
        Ratings([0, 1, 2], ["a"] * 3, [0] * 3, [39.9, 40, 10], [50] * 3),
        pairing=pairing,
        min_trait=60,
        min_coherence=50,
    )
    assert kept.positive.tolist() == [True, False, False]


def test_cell_missing_on_one_side_counts_as_unscored() -> None:
    kept = effective_pairs(
        Ratings([0, 0], ["a", "b"], [0, 0], [90, 90], [90, 90]),
        Ratings([0], ["a"], [0], [10], [90]),
        pairing="rows",
        min_trait=50,
        min_coherence=50,
    )
    assert kept.positive.tolist() == [True, False]
    assert kept[3:] == (2, 1, 1)


def test_trait_vectors_point_toward_the_trait_for_each_readout() -> None:
    rng = np.random.default_rng(3)
    trait = rng.standard_normal((2, 16))
    base = rng.standard_normal((8, 2, 16)).astype(np.float32)
    cells = Cells([90] * 4 + [10] * 4, [10] * 8, [90] * 8)
    kept = effective_pairs(*cells.ratings(), pairing="cell_means", min_trait=50, min_coherence=50)
    shifted = base + trait.astype(np.float32)
    shifted[4:] += 100.0  # ineffective cells must not count
    negative = {"response": base, "prompt": base}
    vectors = trait_vectors({"response": shifted, "prompt": base}, negative, kept)
    np.testing.assert_allclose(vectors["response"], trait, atol=1e-5)
    np.testing.assert_allclose(vectors["prompt"], 0.0, atol=1e-12)
