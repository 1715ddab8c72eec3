"""The shipped library under the shipped embedder: no near-duplicates, and opposed sides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from personae.data.model_table import read_models
from personae.inference.weights_manifest import ModelSource
from personae.inference.weights_preparation import prepare_model
from personae.judging.local_embedder import EmbedderAlone
from personae.personas.library import Library
from personae.personas.library.settings import LibrarySection
from personae.personas.library.text_inventory import all_texts
from personae.report.library_card.measured_checks import (
    NEAR,
    TOLD_APART,
    contrasts,
    margins,
    nearest,
)

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> EmbedderAlone:
    """MiniLM, prepared as the workflow does it."""
    row = read_models(ROOT / "config/models.tsv")["minilm_l6"]
    folder = tmp_path_factory.mktemp("minilm")
    known = {name: getattr(row, name) for name in ModelSource.model_fields}
    prepare_model(ModelSource(**known), folder)
    return EmbedderAlone(folder)


@pytest.fixture(scope="module")
def library() -> Library:
    return Library(LibrarySection(), ROOT)


@pytest.mark.full_size
def test_no_two_texts_of_a_kind_say_nearly_the_same(
    library: Library, embedder: EmbedderAlone
) -> None:
    families = nearest(embedder, all_texts(library))
    assert sum(family.n for family in families) > 3000
    found = [near for family in families for near in family.closest if near.cosine >= NEAR]
    assert not found, [(near.left.place, near.right.place, near.cosine) for near in found]


@pytest.mark.parametrize("part", ["traits", "trait_space"])
def test_sides_are_opposed_more_often_than_not(
    library: Library, embedder: EmbedderAlone, part: str
) -> None:
    pairs = list(contrasts(library, part))
    apart = margins(embedder, pairs, "embedding") > 0
    assert np.mean(apart) >= TOLD_APART


def test_a_planted_near_duplicate_is_found(library: Library, embedder: EmbedderAlone) -> None:
    places = [place for place in all_texts(library) if place.part == "harm_probes"]
    first = places[0]
    again = first._replace(
        place="again", group="again", text=first.text.replace(".", "?").replace(" a ", " some ")
    )
    (family,) = nearest(embedder, [*places, again])
    assert {family.closest[0].left.place, family.closest[0].right.place} == {first.place, "again"}
    assert family.closest[0].cosine >= NEAR
