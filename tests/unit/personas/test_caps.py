"""Capping configurations: written as they were read, and rejected with the place of the error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from personae.base.errors import PersonaeError
from personae.data import tables
from personae.personas.published.capping_files import PublishedCap, read_caps
from personae.personas.published.own_tables import direction_table, floor_table, trait_table
from personae.personas.published.vector_files import VectorFamily, read_families
from personae.personas.published.write_caps import write_caps
from personae.science.capping_floors import ORIENTATION, calibrate_floor
from personae.science.projection import unit
from personae.tools.cli import main

from .test_published import AXIS, HIDDEN, MODEL, capping, save, source

Spoil = Callable[[dict[str, Any]], object]


def written(folder: Path, caps: list[PublishedCap]) -> tuple[str, str]:
    """Write directions and floors of some caps, and return the paths of both tables."""
    paths = str(folder / "directions.parquet"), str(folder / "floors.parquet")
    tables.write(direction_table([], caps), paths[0], "directions", {})
    tables.write(floor_table(caps), paths[1], "floors", {})
    return paths


def published_clamp(hidden: NDArray[np.float64], path: Path, name: str) -> NDArray[np.float64]:
    """Cap tokens ``[n, hidden]`` as the published code does: from above, layer after layer.

    Along the vector of the file, normalised: ``h <- h - u * max(<h, u> - cap, 0)``. Written
    independently from the paper's repository; it knows nothing of orientation, readings or
    metadata.
    """
    content = torch.load(path, weights_only=True)
    (experiment,) = (e for e in content["experiments"] if e["id"] == name)
    for cap in experiment["interventions"]:
        vector = content["vectors"][cap["vector"]]["vector"].double().numpy()
        unit = vector / (np.linalg.norm(vector) + 1e-8)
        excess = np.clip(hidden @ unit - cap["cap"], 0, None)
        hidden = hidden - excess[:, np.newaxis] * unit
    return hidden


def own_floors(folder: Path, reading: str, percentile: float) -> tuple[str, str, float, np.ndarray]:
    """Calibrate and write a floor on the axis at layer 2, of tokens that are returned as well."""
    directions, floors = written(folder, [])
    axis = [VectorFamily("axis", "response_mean", 3 * AXIS.numpy())]
    tables.write(direction_table(axis, []), directions, "directions", {})
    tokens = np.random.default_rng(0).standard_normal((400, HIDDEN))
    along = tokens @ unit(AXIS.numpy())[2]
    floor = float(calibrate_floor(along, percentile, reading))
    row = {"direction": "axis", "pool": "roles", "reading": reading, "percentile": percentile}
    rows = [{**row, "orientation": ORIENTATION, "layer": 2, "floor": floor}]
    tables.write(tables.from_rows(rows, "floors"), floors, "floors", {})
    return directions, floors, floor, tokens


@pytest.mark.parametrize(("reading", "moved"), [("ceiling", 0.75), ("floor", 0.25)])
def test_the_published_clamp_from_above_does_with_our_export_what_our_cap_does(
    tmp_path: Path, reading: str, moved: float
) -> None:
    directions, floors, floor, tokens = own_floors(tmp_path, reading, 25.0)
    write_caps(Path(directions), Path(floors), tmp_path / "out.pt")
    theirs = published_clamp(tokens, tmp_path / "out.pt", f"axis-roles-{reading}-p0.25")
    u = unit(AXIS.numpy())[2]
    ours = tokens - np.minimum(tokens @ u - floor, 0.0)[:, np.newaxis] * u
    np.testing.assert_allclose(theirs, ours, atol=1e-6)
    # The published 25th percentile moves three quarters of the pool, up to the floor.
    assert (np.abs(theirs - tokens).max(axis=1) > 1e-6).mean() == pytest.approx(moved, abs=0.01)
    assert (theirs @ u).min() == pytest.approx(floor, abs=1e-6)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize(("orientation", "reading"), [("toward", "floor"), ("away", "ceiling")])
def test_a_round_trip_changes_no_cap(
    tmp_path: Path, suffix: str, orientation: str, reading: str
) -> None:
    path = save(tmp_path / "capping.pt", capping(0.5))
    first = read_caps(source(path, "capping", orientation=orientation), MODEL, Path())
    assert {(cap.reading, cap.percentile) for cap in first} == {(reading, 25.0)}
    assert set(floor_table(first)["reading"].to_pylist()) == {reading}
    directions, floors = written(tmp_path, first)
    out = tmp_path / f"again{suffix}"
    assert main(["export", directions, str(out), "--floors", floors]) == 0
    again = read_caps(source(out, "capping", orientation="away"), MODEL, Path())
    assert [cap[:3] for cap in again] == [cap[:3] for cap in first]
    for left, right in zip(again, first, strict=True):
        assert (left.floor, left.reading) == (right.floor, right.reading)
        np.testing.assert_allclose(left.direction, right.direction, atol=1e-7)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_an_export_says_that_it_points_away(tmp_path: Path, suffix: str) -> None:
    directions, floors, *_ = own_floors(tmp_path, "ceiling", 25.0)
    out = tmp_path / f"out{suffix}"
    write_caps(Path(directions), Path(floors), out)
    with pytest.raises(PersonaeError, match="states orientation: away, the study toward; correct"):
        read_caps(source(out, "capping"), MODEL, Path())


def test_own_floors_are_named_by_pool_reading_and_percentile(tmp_path: Path) -> None:
    directions, floors, floor, _ = own_floors(tmp_path, "floor", 75.0)
    out = tmp_path / "out.safetensors"
    write_caps(Path(directions), Path(floors), out)
    (cap,) = read_caps(source(out, "capping", orientation="away"), MODEL, Path())
    assert (cap.experiment, cap.percentile) == ("axis-roles-floor-p0.75", 75)
    assert (cap.layer, cap.floor, cap.reading) == (2, floor, "floor")
    np.testing.assert_allclose(cap.direction, unit(AXIS.numpy())[2], atol=1e-7)


def test_floors_of_another_study_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "capping.pt", capping(0.5))
    caps = read_caps(source(path, "capping"), MODEL, Path())
    directions, floors = written(tmp_path, caps)
    tables.write(direction_table([], caps[:1]), directions, "directions", {})
    with pytest.raises(PersonaeError, match=r"has no 'layers_1:3-p0\.25' at layer 2"):
        write_caps(Path(directions), Path(floors), tmp_path / "out.pt")


def test_export_writes_vectors_by_the_kind_of_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    families = [VectorFamily("evil", "response_mean", AXIS.numpy())]
    table = tmp_path / "vectors.parquet"
    tables.write(trait_table(families), table, "trait_vectors", {})
    out = tmp_path / "evil.safetensors"
    assert main(["export", str(table), str(out)]) == 0
    assert "layers: blocks" in capsys.readouterr().out
    (family,) = read_families(source(out, "trait"), MODEL, Path())
    np.testing.assert_array_equal(family.vectors, AXIS.numpy())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.parquet", "a.pt"], "nowhere.parquet: no such file"),
        (["floors.parquet", "a.pt"], "floors.parquet: no vectors by role, trait or direction"),
        (["directions.parquet", "a.npy"], "unknown format; use a name that ends in .pt"),
        (["directions.parquet", "a.pt"], "some layers only; give a table with all of them"),
    ],
)
def test_what_cannot_be_exported_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    path = save(tmp_path / "capping.pt", capping(0.5))
    caps = read_caps(source(path, "capping"), MODEL, Path())
    written(tmp_path, caps)
    floors = ["--floors", str(tmp_path / "floors.parquet")] if "npy" in arguments[1] else []
    assert main(["export", *(str(tmp_path / name) for name in arguments), *floors]) == 1
    said = capsys.readouterr().err
    assert words in said
    assert len(said.splitlines()) == 1


def vector(content: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = content["vectors"]["v2"]
    return found


def caps_of(content: dict[str, Any]) -> list[Any]:
    found: list[Any] = content["experiments"][0]["interventions"]
    return found


SPOILT: list[tuple[Spoil, str]] = [
    (lambda c: c.pop("vectors"), "the key 'vectors' is missing; correct published.kind"),
    (lambda c: c.update(experiments=3), "experiments: must be a list, not int"),
    (lambda c: c.update(experiments=[]), "no experiment with a cap"),
    (lambda c: c["experiments"][0].update(id=None), r"experiments\[0\]\.id: must be a name"),
    (lambda c: c["experiments"][0].update(reading="up"), r"\[0\]\.reading: must be floor or ceil"),
    (lambda c: c["experiments"][0].update(percentile="x"), r"\[0\]\.percentile: must be a finite"),
    (
        lambda c: c["experiments"][0].pop("interventions"),
        r"\[0\]: the key 'interventions'",
    ),
    (lambda c: c["experiments"].append(c["experiments"][0]), r"\[1\].*caps layer 1 of .* again"),
    (lambda c: caps_of(c).append("x"), r"interventions\[3\]: must be a record of keys, not 'x'"),
    (lambda c: caps_of(c)[1].update(vector="v7"), "vectors: the key 'v7' is missing"),
    (lambda c: caps_of(c)[1].update(vector=["v2"]), r"vectors: the key \['v2'\] is missing"),
    (lambda c: caps_of(c)[1].update(cap=None), r"\[1\]\.cap: must be a finite number, not None"),
    (lambda c: caps_of(c)[1].update(cap=float("nan")), r"\[1\]\.cap: must be a finite number"),
    (lambda c: vector(c).pop("layer"), r"vectors\['v2'\]: the key 'layer' is missing"),
    (lambda c: vector(c).update(layer=1.5), "layer 1.5 and 4 numbers do not fit tiny"),
    (lambda c: vector(c).update(layer=3), "layer 3 and 4 numbers do not fit tiny"),
    (lambda c: vector(c).update(vector=AXIS[1][:3]), "layer 2 and 3 numbers do not fit tiny"),
    (lambda c: vector(c).update(vector=AXIS), r"has shape \[3, 4\]; expected \[hidden\]"),
    (lambda c: vector(c).update(vector=[1.0]), "vector: must be a tensor, not list"),
    (lambda c: vector(c).update(vector=0 * AXIS[1]), "vector: is zero and has no direction"),
    (lambda c: vector(c).update(vector=AXIS[1] / 0), "vector: row 0 has a value that is not"),
]


@pytest.mark.parametrize(("spoil", "words"), SPOILT)
def test_a_malformed_configuration_is_refused_by_place(
    tmp_path: Path, spoil: Spoil, words: str
) -> None:
    content = capping(1.0)
    spoil(content)
    path = save(tmp_path / "c.pt", content)
    with pytest.raises(PersonaeError, match=rf"c\.pt: .*{words}") as caught:
        read_caps(source(path, "capping"), MODEL, Path())
    assert len(str(caught.value).splitlines()) == 1


def test_malformed_metadata_of_a_configuration_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "c.safetensors"
    save_file({"v": torch.ones(4)}, path, metadata={"capping": "{"})
    with pytest.raises(PersonaeError, match=r"c\.safetensors: metadata 'capping' is malformed"):
        read_caps(source(path, "capping"), MODEL, Path())
