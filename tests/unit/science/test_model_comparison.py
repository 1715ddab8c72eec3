"""Two tiny models with a planted geometry of roles, in hidden spaces of different sizes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from personae.science.geometry import cosine_matrix, rsa
from personae.science.model_comparison import matched_components
from personae.science.model_pairs import BASE_AND_INSTRUCT, MODELS, ComparedModel, pair_rows
from personae.science.persona_space import PersonaRow, PersonaSpace

ROLES = [f"role{i}" for i in range(24)]


def draw_places(seed: int) -> NDArray[np.float64]:
    """Return places ``[roles, 2]`` with uncorrelated coordinates, the first with more spread."""
    drawn = np.random.default_rng(seed).normal(size=(len(ROLES), 2))
    basis = np.linalg.qr(drawn - drawn.mean(axis=0))[0]
    return np.asarray(basis * np.sqrt(len(ROLES)) * [6.0, 4.0])


SHARED, OTHER = draw_places(1), draw_places(8)


def model(
    places: NDArray[np.float64], hidden: int, seed: int, *, swap: bool = False
) -> PersonaSpace:
    """Return a model whose roles lie at ``places [roles, 2]`` in a random plane."""
    rng = np.random.default_rng(seed)
    plane = np.linalg.qr(rng.normal(size=(hidden, 2)))[0].T
    scale = np.asarray([0.6, 1.6]) if swap else np.ones(2)
    vectors = (places * scale) @ plane + 0.3 * rng.normal(size=(len(places), hidden))
    return PersonaSpace(
        [4],
        [PersonaRow(role, "fully") for role in ROLES],
        (vectors + 5.0)[:, np.newaxis].astype("f4"),
        np.zeros((1, hidden), "f4"),
        rng.normal(size=(1, hidden)).astype("f4"),
    )


def loadings(space: PersonaSpace) -> pd.DataFrame:
    """Return centred loadings with roles as rows and components as columns."""
    rows = space.loading_table(4).to_pandas()
    rows = rows[rows.scaling == "centred"]
    return rows.pivot(index="role", columns="component", values="loading")


def compare(left: PersonaSpace, right: PersonaSpace) -> list[tuple[int, int, float, float]]:
    """Return component, match, |r| and p of the first two components."""
    found = matched_components(
        loadings(left), loadings(right), n_components=2, permutations=200, seed=7
    )
    assert all(row.n_roles == len(ROLES) for row in found)
    assert all(row.correlation.low <= row.correlation.high for row in found)
    return [(r.component, r.matched, r.correlation.estimate, r.p_value) for r in found]


def test_models_with_shared_geometry_have_the_same_components() -> None:
    for component, matched, r, p in compare(model(SHARED, 16, 2), model(SHARED, 40, 3)):
        assert component == matched
        assert r > 0.95
        assert p < 0.05


def test_components_are_matched_whatever_their_order() -> None:
    found = compare(model(SHARED, 16, 2), model(SHARED, 40, 3, swap=True))
    assert [(row[0], row[1]) for row in found] == [(0, 1), (1, 0)]
    assert min(row[2] for row in found) > 0.95


def test_models_without_shared_geometry_do_not_match() -> None:
    assert all(p > 0.05 for *_, p in compare(model(SHARED, 16, 2), model(OTHER, 40, 3)))


def test_similarity_of_cosines_is_found_and_not_made_up() -> None:
    results = []
    for places in (SHARED, OTHER):
        matrices = []
        for space in (model(SHARED, 16, 2), model(places, 40, 3)):
            centred = space.vectors - space.vectors.mean(axis=0)
            matrices.append(cosine_matrix(centred, centred)[0])
        results.append(rsa(*matrices, permutations=200, seed=0))
    assert results[0].interval.estimate > 0.9
    assert results[0].p < 0.05
    assert results[1].p > 0.05


def test_loadings_are_cosines_of_every_role_with_every_component() -> None:
    space = model(SHARED, 16, 2)
    table = space.loading_table(4).to_pandas()
    centred = table[table.scaling == "centred"]
    # 24 roles in 16 dimensions span all of them: the squared cosines of a role add up to one.
    assert centred.groupby("role").loading.apply(lambda v: (v**2).sum()).to_numpy() == (
        pytest.approx(np.ones(24), abs=1e-6)
    )
    assert centred.groupby("component").variance_ratio.first().sum() == pytest.approx(1.0)
    vectors = space.vectors[:, 0].astype(float) - space.vectors[:, 0].astype(float).mean(axis=0)
    first = space.fits["centred"].components[0, 0]
    expected = vectors @ first / np.linalg.norm(vectors, axis=1)
    found = centred[centred.component == 0].set_index("role").loading.loc[ROLES]
    assert found.to_numpy() == pytest.approx(expected, abs=1e-6)


def compared(name: str, space: PersonaSpace, base: str = "") -> ComparedModel:
    """Return a model with cosines of roles, and of roles with the direction of the first one."""
    centred = (space.vectors - space.vectors.mean(axis=0)).astype(float)
    axis = space.fits["centred"].components[:, 0]
    axis = axis * np.sign((centred[:, 0] @ axis[0]) @ SHARED[:, 0])
    named = [*ROLES, "assistant_axis"]
    rows = np.concatenate([centred, axis[np.newaxis]])
    table = pd.DataFrame(cosine_matrix(rows, rows)[0], named, named).rename_axis("left")
    cosines = table.melt(var_name="right", value_name="cosine", ignore_index=False)
    return ComparedModel(name, base, cosines.reset_index(), loadings(space))


def test_every_pair_of_models_is_compared_and_a_base_model_is_marked() -> None:
    models = [
        compared("instruct", model(SHARED, 16, 2), base="base"),
        compared("base", model(SHARED, 40, 3)),
        compared("stranger", model(draw_places(5), 24, 4)),
    ]
    rows = pd.DataFrame(pair_rows(models, permutations=200, seed=7))
    assert set(zip(rows.left, rows.right, strict=True)) == {
        ("instruct", "base"), ("instruct", "stranger"), ("base", "stranger"),
    }  # fmt: skip
    alike = rows[(rows.left == "instruct") & (rows.right == "base")]
    assert set(alike.relation) == {BASE_AND_INSTRUCT}
    assert set(rows[rows.right == "stranger"].relation) == {MODELS}
    planted = alike[(alike.statistic != "component") | (alike.component < 2)]
    assert planted.value.min() > 0.9
    assert planted.p_value.max() < 0.05
    assert (planted.value > planted.null_p95).all()
    strange = rows[(rows.right == "stranger") & (rows.statistic != "component")]
    assert strange.p_value.min() > 0.05
    along = alike.set_index("statistic").loc["places on the axis"]
    assert along.low < along.value <= along.high <= 1.0


def test_models_with_few_roles_in_common_are_not_compared() -> None:
    left, right = (compared(n, model(SHARED, 16, 2)) for n in ("a", "b"))
    few = set(ROLES[:5])
    some = right.cosines[right.cosines.left.isin(few) & right.cosines.right.isin(few)]
    right = right._replace(cosines=some, loadings=right.loadings.loc[ROLES[:5]])
    assert pair_rows([left, right], permutations=20, seed=7) == []
