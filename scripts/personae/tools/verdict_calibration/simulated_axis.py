"""Simulated persona space: rollouts of roles, and what is computed of them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from personae.data.effect_tables import POOLED
from personae.data.table_values import DEFAULT
from personae.science.alignment_nulls import contrast_weights, label_shuffles
from personae.science.heldout_roles import AskedRollouts, heldout_role, over_roles
from personae.science.null_directions import null_directions
from personae.science.persona_space import PersonaRow, PersonaSpace
from personae.science.projection import unit
from personae.science.projection_tables import Projected
from personae.science.question_sums import QuestionSums, sums_by_question
from personae.science.reliability import (
    SummedContrast,
    reliability_columns,
    split_half_reliability,
)
from personae.science.resampling import encode
from personae.science.separation import separate
from personae.science.space_layers import LayerNull, SpaceSettings, layer_table
from personae.science.statistics import wilson
from personae.science.steering_arms import VARIANT
from personae.science.vectors import FULLY
from personae.tools.verdict_calibration.simulated_grids import (
    JUDGES,
    MIDDLE,
    FloatArray,
    Frames,
    grid,
    names,
)
from personae.workflow.claim_sizes import Sizes

_HIDDEN: Final = 24
ROLE_ROLLOUTS: Final = 25
_MISTAKEN: Final = 0.15  # of responses that do not play the role a judge calls so many fully played
_LABELLED_LOW: Final = 97
_DRAWS: Final = 99
"""Bootstrap draws and permutations inside a simulated study, where a real one has 200 to 1,000:
p-values have the same size with any number, and bounds of 99 draws differ by chance alone."""
_FIRST: Final = np.ones(_HIDDEN) / np.sqrt(_HIDDEN)
"""The direction along which roles vary most, with the effect; not a single dimension."""
_OF_DEFAULT: Final = np.random.default_rng(0).normal(size=_HIDDEN)
"""What is the default's own, the same in every study: all are of one model."""
_MOST_ROLES: Final = 40
"""A persona space of more roles is simulated with so many."""
_THEATRICAL: Final = ("dramatic", "enigmatic", "mystical", "poetic", "subversive", "pirate_speech")


class Rollouts(NamedTuple):
    """Response means ``[n, hidden]`` with the role and question of each."""

    means: FloatArray
    roles: NDArray[np.str_]
    questions: NDArray[np.str_]


def simulated_rollouts(
    sizes: Sizes,
    effect: float,
    questions: int,
    rng: np.random.Generator,
    roles: np.random.Generator,
    scores: FloatArray,
) -> Rollouts:
    """Rollouts of all roles and the default, along a first direction by ``scores [roles]``.

    Directions of the stream vary unequally, every question moves all roles together, and without an
    effect the default lies in the middle of the roles, so that the axis is nothing but noise.
    """
    asked = names("q", questions)
    n = len(scores)
    table = pd.concat(
        [
            grid(role=names("r", n), question=asked, p=range(sizes.role_prompts)),
            grid(role=[DEFAULT], question=asked, p=range(sizes.neutral_prompts)),
        ],
        ignore_index=True,
    )
    spread = 1.0 / np.sqrt(1.0 + np.arange(_HIDDEN))
    of_role = roles.normal(size=(n + 1, _HIDDEN)) * spread * (1.5 - 0.7 * effect)
    of_role[-1] = 0.24 * _OF_DEFAULT * spread if effect else of_role[:-1].mean(axis=0)
    of_role += np.append(scores, effect * 5.0)[:, np.newaxis] * _FIRST
    of_question = rng.normal(size=(questions, _HIDDEN)) * spread
    place = {role: i for i, role in enumerate([*names("r", n), DEFAULT])}
    means = of_role[table.role.map(place)] + of_question[table.question.map(asked.index)]
    means = means + rng.normal(size=means.shape) * spread
    return Rollouts(means, table.role.to_numpy(str), table.question.to_numpy(str))


def fixed_role_tables(sizes: Sizes, effect: float, rng: np.random.Generator) -> Frames:
    """As `axis_tables`, but of the same roles in every study: only questions are drawn anew."""
    return axis_tables(sizes, effect, rng, np.random.default_rng(int(effect)))


def axis_tables(
    sizes: Sizes,
    effect: float,
    rng: np.random.Generator,
    roles: np.random.Generator | None = None,
) -> Frames:
    """Axis, components, separation and role vectors of one model.

    ``roles`` draws what is the roles' own, by default ``rng`` does.
    """
    of_roles = roles or rng
    # Without an effect no direction stands out among the roles.
    scores = effect * of_roles.normal(0, 2.5, min(sizes.roles, _MOST_ROLES))
    drawn = of_roles.bit_generator.state
    made = simulated_rollouts(sizes, effect, sizes.role_questions, rng, of_roles, scores)
    space = _space(made)
    with _question_sums(made, space) as sums:
        layers = layer_table(space, _reliability(made), _null(made), sums, _settings(rng))
    # The same roles answer held-out questions.
    again = np.random.default_rng()
    again.bit_generator.state = drawn
    heldout = simulated_rollouts(sizes, effect, sizes.heldout_questions, rng, again, scores)
    return {
        "space_layers": layers.to_pandas(),
        "space_coordinates": space.coordinate_table().to_pandas(),
        "role_loadings": space.loading_table(MIDDLE).to_pandas(),
        "role_cosines": space.cosine_table(MIDDLE).to_pandas(),
        **_played(space, effect, rng),
        "separation": _separation(heldout, space.axis[0], rng),
        "heldout_roles": _heldout(heldout, space, rng),
    }


def edge_tables(sizes: Sizes, effect: float, rng: np.random.Generator) -> Frames:
    """Coordinates on the first component: the default is one more role, or at the end."""
    every = [*names("r", sizes.roles), DEFAULT]
    coordinates = rng.normal(size=len(every))
    if effect:
        coordinates[-1] = coordinates.max() + 0.2
    table = pd.DataFrame({"role": every, "coordinate": coordinates})
    return {
        "space_coordinates": table.assign(kind=FULLY, layer=MIDDLE, scaling="centred", component=0)
    }


def theatrical_tables(sizes: Sizes, effect: float, rng: np.random.Generator) -> Frames:
    """Vectors of theatrical traits against the axis of a few roles."""
    axis = unit(rng.normal(size=_HIDDEN))
    roles = [rng.normal(size=_HIDDEN) - 3.0 * axis for _ in range(12)]
    names_of = [*names("r", 12), DEFAULT]
    vectors = [rng.normal(size=_HIDDEN) - 2.0 * effect * axis for _ in _THEATRICAL]
    return {
        "role_vectors": pd.DataFrame(
            {
                "role": names_of,
                "kind": [FULLY] * 12 + [DEFAULT],
                "layer": MIDDLE,
                "vector": [v.astype("<f4").tobytes() for v in [*roles, rng.normal(size=_HIDDEN)]],
            }
        ),
        "trait_vectors": pd.DataFrame(
            {
                "trait": _THEATRICAL,
                "variant": VARIANT,
                "layer": MIDDLE,
                "vector": [v.astype("<f4").tobytes() for v in vectors],
            }
        ),
    }


def _space(made: Rollouts) -> PersonaSpace:
    every = [role for role in np.unique(made.roles).tolist() if role != DEFAULT]
    vectors = np.stack([made.means[made.roles == role].mean(axis=0) for role in every])
    default = made.means[made.roles == DEFAULT].mean(axis=0)
    return PersonaSpace(
        [MIDDLE],
        [PersonaRow(role, FULLY) for role in every],
        vectors[:, np.newaxis].astype(np.float32),
        default[np.newaxis].astype(np.float32),
        (default - vectors.mean(axis=0))[np.newaxis].astype(np.float32),
    )


def _settings(rng: np.random.Generator) -> SpaceSettings:
    return SpaceSettings(0.7, _DRAWS, int(rng.integers(2**31)))


def _null(made: Rollouts) -> LayerNull:
    weights = contrast_weights(made.roles == DEFAULT, made.roles)
    shuffles = label_shuffles(weights, _DRAWS, 0, made.questions)
    means = made.means[:, np.newaxis].astype(np.float32)
    return LayerNull(means, shuffles, made.roles, made.questions)


def _question_sums(made: Rollouts, space: PersonaSpace) -> QuestionSums:
    """Sums of the default's rollouts and of every row's, by question; to be closed."""
    asked = np.unique(made.questions)
    subjects = [DEFAULT, *(row.role for row in space.rows)]
    found = QuestionSums(
        Path(tempfile.gettempdir()),
        n_questions=len(asked),
        n_subjects=len(subjects),
        hidden=_HIDDEN,
    )
    for place, subject in enumerate(subjects):
        mine = made.roles == subject
        found.put(place, *sums_by_question(made.means[mine], made.questions[mine], asked))
    return found


def _reliability(made: Rollouts) -> dict[str, list[Any]]:
    codes = encode(made.questions)
    k = int(codes.max()) + 1
    weights = np.abs(contrast_weights(made.roles == DEFAULT, made.roles))
    vectors, mass = np.zeros((2, k, 1, _HIDDEN)), np.zeros((2, k))
    side = (made.roles != DEFAULT).astype(int)
    np.add.at(mass, (side, codes), weights)
    np.add.at(vectors[:, :, 0], (side, codes), weights[:, np.newaxis] * made.means)
    return reliability_columns(
        split_half_reliability(SummedContrast(vectors, mass), splits=40, seed=0)
    )


def _played(space: PersonaSpace, effect: float, rng: np.random.Generator) -> Frames:
    """Fully played responses of every role: a judge's mistakes alone, or most of them with them."""
    share = np.clip(rng.normal(0.7, 0.15, len(space.rows)), 0.05, 1.0) if effect else _MISTAKEN
    n = np.maximum(rng.binomial(ROLE_ROLLOUTS, share, len(space.rows)), 1)
    rows = [(row.role, FULLY, MIDDLE, count, 0) for row, count in zip(space.rows, n, strict=True)]
    labelled = wilson(rng.binomial(_LABELLED_LOW, _MISTAKEN), _LABELLED_LOW)
    judge = {"judge": JUDGES[0], "rubric": "role_adherence", "target": POOLED, "n": _LABELLED_LOW}
    columns = ["role", "kind", "layer", "n", "n_unscored"]
    return {
        "role_vectors": pd.DataFrame(
            [*rows, (DEFAULT, DEFAULT, MIDDLE, ROLE_ROLLOUTS, 0)], columns=columns
        ),
        "agreement": pd.DataFrame([judge | labelled.columns("false_high")]),
    }


def _separation(heldout: Rollouts, axis: FloatArray, rng: np.random.Generator) -> pd.DataFrame:
    values = (heldout.means @ unit(axis))[:, np.newaxis]
    kinds = np.where(heldout.roles == DEFAULT, "default", "role").astype(object)
    ids = np.array(names("x", len(values)), dtype=object)
    found = Projected(ids, kinds, heldout.questions.astype(object), [MIDDLE], values)
    seed = int(rng.integers(2**31))
    return separate(found, "axis", "heldout", permutations=_DRAWS, seed=seed).to_pandas()


def _heldout(heldout: Rollouts, space: PersonaSpace, rng: np.random.Generator) -> pd.DataFrame:
    fully = {row.role: v[0].astype(float) for row, v in zip(space.rows, space.vectors, strict=True)}
    seed = int(rng.integers(2**31))
    of = {
        role: AskedRollouts(
            heldout.means[heldout.roles == role].astype(np.float32),
            heldout.questions[heldout.roles == role],
        )
        for role in (*fully, DEFAULT)
    }
    random = np.stack(list(null_directions(heldout.means, heldout.roles, seed).values()))
    results = [
        heldout_role(
            role,
            space.default[0].astype(float),
            fully,
            (of[DEFAULT], of[role]),
            random,
            permutations=_DRAWS,
            seed=seed,
        )
        for role in fully
    ]
    rows = [over_roles(results)]
    return pd.DataFrame(rows).assign(layer=MIDDLE)
