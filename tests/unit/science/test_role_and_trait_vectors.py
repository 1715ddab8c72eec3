"""Kinds of rollouts, the axis and the filter of trait rollouts give back what was planted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from personae.science.projection import cosine, project
from personae.science.trait_filter import Pairing, Ratings, effective_pairs
from personae.science.vectors import assistant_axis, check_axis, rollout_kinds

from .planted import build_world


def test_rollouts_are_kept_apart_by_score() -> None:
    kinds = rollout_kinds([3, 2.6, 2, 2, 1, 0, None, np.nan])
    assert kinds == ["fully", "fully", "somewhat", "somewhat", *["other"] * 4]


@pytest.mark.parametrize("score", [3.5, -1.0])
def test_role_score_outside_the_scale_is_refused(score: float) -> None:
    with pytest.raises(ValueError, match=f"{score} is outside 0-3"):
        rollout_kinds([score])


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


def test_coherence_that_nobody_judged_filters_nothing_and_cannot_be_asked_for() -> None:
    judged = Cells([90] * 8, [10] * 8, [0] * 8).ratings()
    sides = [side._replace(coherence=None) for side in judged]
    kept = effective_pairs(*sides, pairing="rows", min_trait=50, min_coherence=None)
    assert kept.positive.all()
    assert kept.n_unscored == 0
    with pytest.raises(ValueError, match="coherence was not judged"):
        effective_pairs(*sides, pairing="rows", min_trait=50, min_coherence=50)


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
