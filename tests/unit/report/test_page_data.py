"""What the page carries for its interactive parts, and the libraries that it embeds."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from personae.data import tables
from personae.report.browsable_responses import browsable_responses, rows_of_each
from personae.report.embedded_data import embed, embed_within
from personae.report.embedded_figures import patterns
from personae.report.persona_map_data import _basis
from personae.report.token_shading import token_shading

from .synthetic.basics import MIDDLE, ROLES, TRAITS
from .synthetic.study import PAGE_SCRIPTS, PROJECT

REPORT = PROJECT / "scripts/personae/report"


def block(page: str, name: str) -> Any:
    """Return the content of one block of data."""
    found = re.search(rf'id="data-{name}">([^<]*)<', page)
    assert found is not None
    return json.loads(gzip.decompress(base64.b64decode(found[1])))


def test_data_is_compressed_the_same_each_time_and_without_nan() -> None:
    one = embed("a", {"x": [float("nan"), 1.5, float("inf")], "y": {"z": "é"}})
    assert one == embed("a", {"x": [float("nan"), 1.5, float("inf")], "y": {"z": "é"}})
    content = json.loads(gzip.decompress(base64.b64decode(one.text)))
    assert content == {"x": [None, 1.5, None], "y": {"z": "é"}}


def test_as_much_is_embedded_as_has_room() -> None:
    rng = random.Random(0)
    words = [f"{rng.random()}" for _ in range(1000)]
    whole = embed("a", {"words": words})
    assert embed_within("a", lambda n: {"words": words[:n]}, most=1000, limit=10**6) == whole
    part = embed_within("a", lambda n: {"words": words[:n]}, most=1000, limit=len(whole.text) // 2)
    assert 0.3 < len(part.text) / len(whole.text) <= 0.5
    assert embed_within("a", lambda n: {"words": words[:n]}, most=1000, limit=1).text


def test_the_map_has_every_role_with_its_projection_and_description(page: str) -> None:
    content = block(page, "good-map")
    assert content["layer"] == MIDDLE
    roles = {point["name"]: point for point in content["points"] if point["kind"] != "trait"}
    assert set(roles) == {*ROLES, "default"}
    assert roles["default"]["kind"] == "default"
    assert roles["pirate"]["about"] == "One who lives as a pirate does."
    assert all(isinstance(role["axis"], float) for role in roles.values())
    assert 2 <= len(roles["pirate"]["at"]["roles"]) <= len(content["variance"]["roles"]) == 6
    assert sum(content["variance"]["roles"]) <= 1.001


def test_traits_and_roles_have_places_in_both_spaces(page: str) -> None:
    content = block(page, "good-map")
    traits = {point["name"]: point for point in content["points"] if point["kind"] == "trait"}
    assert set(traits) == set(TRAITS)
    for point in content["points"]:
        assert set(point["at"]) == {"roles", "traits"}
    # Of the traits' own components, coordinates have mean zero; of the roles' they do not.
    places = np.asarray([point["at"]["traits"] for point in traits.values()], dtype=float)
    np.testing.assert_allclose(places.mean(axis=0), 0, atol=1e-2)


def test_a_traits_place_among_roles_is_its_product_with_the_components() -> None:
    """Roles lie on two planted components; a trait along the second has that coordinate alone."""
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(5, 5)))[0][:2]
    at = rng.normal(size=(4, 2))
    at -= at.mean(axis=0)
    vectors = dict(zip([(f"r{i}", "fully") for i in range(4)], at @ basis + 7.0, strict=True))
    found = _basis(dict(zip(vectors, at, strict=True)), vectors)
    np.testing.assert_allclose(found, basis, atol=1e-9)


def test_tokens_are_shaded_by_direction(page: str) -> None:
    content = block(page, "good-tokens")
    assert [d["name"] for d in content["directions"]] == ["axis", "poetic"]
    shown = content["responses"]
    arms = {key.split("/")[0] for key in shown}
    assert arms == {"steering", "conversations"}
    for one in shown.values():
        assert one["values"]["poetic"] == [-v for v in one["values"]["axis"]]
        assert len(one["tokens"]) == len(one["values"]["axis"])
    axis = content["directions"][0]
    values = [v for one in shown.values() for v in one["values"]["axis"]]
    assert axis["middle"] == np.median(values)
    assert token_shading({}) == {"directions": [], "responses": {}}


def test_steering_has_both_sweeps_with_intervals(page: str) -> None:
    cells = block(page, "good-steering")["cells"]
    assert {cell["sweep"] for cell in cells} == {"layer sweep", "steering"}
    [cell] = [
        c for c in cells
        if (c["trait"], c["direction"], c["coefficient"], c["sweep"])
        == ("poetic", "trait", 2.0, "steering")
    ]  # fmt: skip
    mean, low, high, n, unscored = cell["scores"]["trait"]
    assert low <= mean <= high
    assert (n > 0, unscored) == (True, 0)


def test_capping_has_a_cell_a_band_and_percentile(page: str) -> None:
    cells = [c for c in block(page, "good-capping")["cells"] if c["measure"] == "roles_played"]
    arms = [(c["band"], c["percentile"]) for c in cells if c["direction"] == "axis"]
    assert len(set(arms)) == len(arms) == 8
    assert [c["change"] for c in cells if c["direction"] == "none"] == [0.0]


def test_responses_have_scores_of_both_judges_and_projections_of_turns(page: str) -> None:
    content = block(page, "good-responses")
    columns = content["columns"]
    n = len(columns["id"])
    assert n == content["total"]
    assert all(len(column) == n for column in columns.values())
    at = columns["id"].index("pirate-q00")
    scores = content["scores"]["role_adherence"]
    assert (scores["likelihood"][at], scores["embedding"][at]) == (3.0, 1.0)
    assert content["texts"][columns["question"][at]] == "Question q00?"
    turns = [i for i, arm in enumerate(columns["arm"]) if arm == "conversations"]
    assert turns
    assert all(columns["projection"][i] is not None for i in turns)
    assert columns["projection"][at] is None


def test_responses_that_are_too_many_are_left_out_evenly() -> None:
    ranks = np.array([0, 1, 2, 3, 4, 5, 0, 1, 0])  # of subjects with six, two and one
    assert [rows_of_each(ranks, most) for most in (9, 8, 5, 4, 1)] == [6, 5, 2, 1, 1]


def test_of_too_many_responses_the_first_of_every_subject_are_kept(tmp_path: Path) -> None:
    system = [{"role": "system", "content": "Be one."}, {"role": "user", "content": "Who?"}]
    rows = [
        {"response_id": f"k{i}", "role": role, "prompt_index": 0, "question_id": f"q{i}"}
        | {"question": "Who?", "response": "Me.", "messages": json.dumps(system), "sample": 0}
        for i, role in enumerate(["a"] * 6 + ["b"] * 2 + ["c"])
    ]
    path = str(tmp_path / "responses.parquet")
    tables.write(tables.from_rows(rows, "role_responses"), path, "role_responses", {})
    for most, kept in ((9, range(9)), (5, [0, 1, 6, 7, 8]), (1, [0, 6, 8])):
        found = browsable_responses({"role_responses": [path]}, {}, most)
        assert found["columns"]["id"] == [f"k{i}" for i in kept]
        assert found["total"] == 9
    assert "Be one." in found["texts"]


def test_a_model_without_responses_has_none() -> None:
    assert browsable_responses({}, {})["total"] == 0


def test_varying_names_in_paths_become_stars() -> None:
    assert patterns("a/x/t.parquet; a/y/t.parquet; b.parquet") == "a/*/t.parquet, b.parquet"
    assert patterns("") == ""


@pytest.mark.parametrize("line", (REPORT / "vendor/SHA256SUMS").read_text().splitlines())
def test_embedded_libraries_are_those_that_were_published(line: str) -> None:
    digest, name = line.split()
    assert hashlib.sha256((REPORT / "vendor" / name).read_bytes()).hexdigest() == digest


def test_the_rule_embeds_the_scripts_that_are_tested_here() -> None:
    rule = (PROJECT / "rules/report.smk").read_text("utf-8")
    named = re.findall(r'"((?:vendor|page_scripts)/[\w./]+)"', rule)
    assert tuple(named) == PAGE_SCRIPTS
    files = {path.relative_to(REPORT).with_suffix("").as_posix() for path in REPORT.rglob("*.js")}
    assert files == set(PAGE_SCRIPTS)
    for name in PAGE_SCRIPTS:
        assert "</script" not in (REPORT / f"{name}.js").read_text("utf-8")
