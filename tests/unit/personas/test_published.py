"""Published vectors are read in the project's conventions, or rejected."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scripts.published import import_published_vectors

from personae.base.errors import PersonaeError
from personae.data import tables
from personae.data.model_table import ModelRow
from personae.data.vector_stacks import stack, vector_rows
from personae.personas.published.capping_files import read_caps
from personae.personas.published.own_tables import (
    comparison,
    direction_table,
    floor_table,
    role_table,
    trait_table,
)
from personae.personas.published.published_source import PublishedSource
from personae.personas.published.vector_files import VectorFamily, read_families
from personae.personas.published.write_vectors import write_vectors

N_LAYERS, HIDDEN = 3, 4
MODEL = ModelRow(
    name="tiny", display_name="Tiny", kind="chat", source="folder", id="tiny", revision="",
    n_layers=N_LAYERS, hidden_size=HIDDEN, middle_layer=1, capping_bands="1-2", gpus=0,
    gpu_mem_gb=0, mem_gb=1, license="none",
)  # fmt: skip
AXIS = torch.arange(N_LAYERS * HIDDEN, dtype=torch.float32).reshape(N_LAYERS, HIDDEN) + 1


def source(path: Path, kind: str, **settings: Any) -> PublishedSource:
    signed = {} if kind == "role" else {"orientation": "toward"}
    known = {"model": "tiny", "kind": kind, "path": str(path), "layers": "blocks"}
    return PublishedSource(**{**known, **signed, **settings})


def save(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return path


def only(found: list[VectorFamily]) -> VectorFamily:
    (family,) = found
    return family


def test_the_default_assistant_has_a_file_of_its_own(tmp_path: Path) -> None:
    for name in ("pirate", "default_vector"):
        save(tmp_path / f"{name}.pt", AXIS)
    families = read_families(source(tmp_path, "role"), MODEL, Path())
    assert [family.name for family in families] == ["default", "pirate"]
    table = role_table(families)
    assert dict(zip(table["role"].to_pylist(), table["kind"].to_pylist(), strict=True)) == {
        "default": "default",
        "pirate": "fully",
    }


def test_a_control_vector_of_some_layers_is_read(tmp_path: Path) -> None:
    path = save(tmp_path / "kind.pt", {1: AXIS[1], 2: AXIS[2]})
    family = only(read_families(source(path, "trait", orientation="away"), MODEL, Path()))
    assert (family.name, list(family.at)) == ("kind", [1, 2])
    np.testing.assert_array_equal(family.vectors, -AXIS[1:].numpy())
    assert trait_table([family])["layer"].to_pylist() == [1, 2]
    rows = comparison("trait", [family], {("trait", "kind"): -AXIS.numpy()})
    assert [(row["layer"], round(row["cosine"], 6)) for row in rows] == [(1, 1.0), (2, 1.0)]
    counted = source(path, "trait", layers="hidden_states")
    assert list(only(read_families(counted, MODEL, Path())).at) == [0, 1]


def test_a_control_vector_makes_the_round_trip_by_gguf(tmp_path: Path) -> None:
    table = tmp_path / "vectors.parquet"
    families = [VectorFamily("kind", "response_mean", AXIS.numpy())]
    tables.write(trait_table(families), table, "trait_vectors", {})
    path = tmp_path / "kind.gguf"
    write_vectors(table, "trait_vectors", path)
    family = only(read_families(source(path, "trait"), MODEL, Path()))
    assert (family.name, list(family.at)) == ("kind", [1, 2])
    np.testing.assert_array_equal(family.vectors, AXIS[1:].numpy())
    from gguf import GGUFReader

    reader = GGUFReader(path)
    assert reader.fields["general.architecture"].contents() == "controlvector"
    assert [tensor.name for tensor in reader.tensors] == ["direction.1", "direction.2"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({0: AXIS[0], 7: AXIS[1]}, "layer 7 is out of range"),
        ({1: AXIS[1, :2]}, "layer 1: 2 numbers, but tiny has 4"),
        ({1: "x"}, "layer 1: must be a tensor"),
    ],
)
def test_a_control_vector_that_does_not_fit_is_refused(
    tmp_path: Path, content: Any, words: str
) -> None:
    path = save(tmp_path / "kind.pt", content)
    with pytest.raises(PersonaeError, match=words):
        read_families(source(path, "trait"), MODEL, Path())


def test_of_several_vectors_gguf_takes_the_named_one(tmp_path: Path) -> None:
    table = tmp_path / "vectors.parquet"
    families = [VectorFamily(name, "response_mean", AXIS.numpy()) for name in ("kind", "odd")]
    tables.write(trait_table(families), table, "trait_vectors", {})
    with pytest.raises(PersonaeError, match="choose by --name"):
        write_vectors(table, "trait_vectors", tmp_path / "x.gguf")
    write_vectors(table, "trait_vectors", tmp_path / "x.gguf", name="odd")
    with pytest.raises(PersonaeError, match=r"no vector 'ood'.*did you mean 'odd'"):
        write_vectors(table, "trait_vectors", tmp_path / "x.gguf", name="ood")


def expanded() -> torch.Tensor:
    return torch.zeros(1, 1).expand(400_000, 335_544)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.pt", b"hello, this is text\n", "is no file that torch.save wrote"),
        ("a.pt", b"", "is no file that torch.save wrote"),
        ("a.pt", b"PK\x03\x04 and no archive", "cannot be read"),
        ("a.pt", b"\x80\x02cos\nsystem\n.", "could run code"),
        ("a.pt", expanded(), "no model's has more than 67,108,864 numbers"),
        ("a.pt", {"axis": torch.zeros(3, 4, device="meta")}, "a tensor without values"),
        ("a.safetensors", b"\xff" * 64, "cannot be read"),
        ("a.gguf", b"GGUF" + b"\xff" * 64, "cannot be read"),
        ("a.gguf", b"text", "cannot be read"),
    ],
)
def test_a_hostile_file_is_one_line(tmp_path: Path, name: str, content: Any, words: str) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
        assert path.stat().st_size < 10_000
    with pytest.raises(PersonaeError) as caught:
        read_families(source(path, "axis"), MODEL, Path())
    (line,) = str(caught.value).splitlines()
    assert line.startswith(str(path))
    assert words in line


@pytest.mark.parametrize("content", [AXIS, {"axis": AXIS, "n_roles": 275}, AXIS.bfloat16()])
def test_an_axis_is_read_in_every_form(tmp_path: Path, content: Any) -> None:
    path = save(tmp_path / "axis.pt", content)
    family = only(read_families(source(path, "axis"), MODEL, Path()))
    assert family.name == "axis"
    assert family.vectors.dtype == np.float32
    np.testing.assert_array_equal(family.vectors, AXIS.numpy())


def test_orientation_and_layers_are_turned(tmp_path: Path) -> None:
    states = torch.cat([torch.full((1, HIDDEN), 99.0), AXIS])
    path = save(tmp_path / "evil_response_avg_diff.pt", states)
    away = source(path, "trait", layers="hidden_states", orientation="away")
    family = only(read_families(away, MODEL, Path()))
    assert (family.name, family.span) == ("evil", "response_mean")
    np.testing.assert_array_equal(family.vectors, -AXIS.numpy())
    # The last of a list of hidden states is taken after the final norm: its row says so.
    marked = trait_table([family])["selection"].to_pylist()
    assert marked == [*["published"] * (N_LAYERS - 1), "published, after the final norm"]
    own = {("trait", "evil"): AXIS.numpy()}
    lines = comparison("trait", [family], own)
    assert [line["after_final_norm"] for line in lines] == [False, False, True]


def test_a_folder_of_role_vectors(tmp_path: Path) -> None:
    save(tmp_path / "r/pirate.pt", {"vector": AXIS, "type": "pos_3", "role": "pirate"})
    save(tmp_path / "r/default.pt", {"vector": 2 * AXIS, "type": "mean", "role": "default"})
    found = read_families(source(tmp_path / "r", "role"), MODEL, Path())
    table = role_table(found)
    kinds = dict(zip(table["role"].to_pylist(), table["kind"].to_pylist(), strict=True))
    assert kinds == {"default": "default", "pirate": "fully"}
    assert table["n"].null_count == 2 * N_LAYERS


def capping(away: float) -> dict[str, Any]:
    vectors = {f"v{layer}": {"layer": layer, "vector": AXIS[layer]} for layer in (1, 2)}
    caps = [{"vector": f"v{layer}", "cap": away * layer} for layer in (1, 2)]
    steers = {"vector": "v1", "coeff": 3.0}
    experiments = [{"id": "layers_1:3-p0.25", "interventions": [*caps, steers]}]
    return {"vectors": vectors, "experiments": experiments}


def test_a_ceiling_away_from_the_assistant_is_a_floor_toward_it(tmp_path: Path) -> None:
    path = save(tmp_path / "capping.pt", capping(0.5))
    caps = read_caps(source(path, "capping", orientation="away"), MODEL, Path())
    assert [(cap.layer, cap.floor, cap.percentile) for cap in caps] == [(1, -0.5, 25), (2, -1, 25)]
    unit = -AXIS[1].numpy() / np.linalg.norm(AXIS[1].numpy())
    np.testing.assert_allclose(caps[0].direction, unit, atol=1e-6)
    # What is above the ceiling along v is below the floor along -v, and is moved to the same place.
    hidden = np.array([1.0, 2.0, 3.0, 4.0])
    ceiling = hidden + unit * (hidden @ -unit - 0.5)
    floor = hidden - unit * min(hidden @ caps[0].direction - caps[0].floor, 0)
    np.testing.assert_allclose(floor, ceiling, atol=1e-5)


def test_a_floor_toward_the_assistant_stays_one(tmp_path: Path) -> None:
    path = save(tmp_path / "capping.pt", capping(0.5))
    caps = read_caps(source(path, "capping"), MODEL, Path())
    assert [cap.floor for cap in caps] == [0.5, 1.0]
    floors = floor_table(caps)
    assert set(floors["direction"].to_pylist()) == {"layers_1:3-p0.25"}
    assert set(floors["percentile"].to_pylist()) == {25.0}


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize(
    ("schema", "kind", "table"),
    [
        ("directions", "axis", lambda f: direction_table(f, [])),
        ("role_vectors", "role", role_table),
        ("trait_vectors", "trait", trait_table),
    ],
)
def test_a_round_trip_changes_nothing(
    tmp_path: Path, suffix: str, schema: str, kind: str, table: Any
) -> None:
    families = [VectorFamily("axis", "response_mean", AXIS.numpy())]
    tables.write(table(families), tmp_path / "t.parquet", schema, {})
    path = tmp_path / f"out{suffix}"
    write_vectors(tmp_path / "t.parquet", schema, path)
    family = only(read_families(source(path, kind), MODEL, Path()))
    assert family.name == "axis"
    np.testing.assert_array_equal(family.vectors, AXIS.numpy())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"orientation": "away"}, "states orientation: toward, the study away"),
        ({"layers": "hidden_states"}, "states layers: blocks, the study hidden_states"),
    ],
)
def test_a_file_that_says_otherwise_than_the_study_is_refused(
    tmp_path: Path, settings: dict[str, str], words: str
) -> None:
    families = [VectorFamily("axis", "response_mean", AXIS.numpy())]
    table = direction_table(families, [])
    tables.write(table, tmp_path / "t.parquet", "directions", {})
    path = tmp_path / "axis.safetensors"
    write_vectors(tmp_path / "t.parquet", "directions", path)
    with pytest.raises(PersonaeError, match=rf"axis\.safetensors: {words}; correct one"):
        read_families(source(path, "axis", **settings), MODEL, Path())


class Harmless:
    """An object that is not a tensor; a file with it could contain code as well."""


@pytest.mark.parametrize(
    ("content", "settings", "words"),
    [
        (AXIS[:2], {}, r"shape \[2, 4\], but tiny with layers: blocks needs \[3, 4\]"),
        (AXIS, {"layers": "hidden_states"}, r"needs \[4, 4\]; correct model or layers"),
        (AXIS[0], {}, r"shape \[4\]; expected \[layers, hidden\]"),
        (AXIS.long(), {}, "must be a dense tensor of floats, not int64"),
        (AXIS.to_sparse(), {}, r"must be a dense tensor of floats, not float32 \(sparse_coo\)"),
        (AXIS * float("nan"), {}, "row 0 has a value that is not finite"),
        ({"mean": AXIS}, {}, "the tensor 'axis' is missing; the file has mean"),
        ([1, 2], {}, "must be a tensor, not list"),
        (Harmless(), {}, "holds more than tensors and plain values, which could run code"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(
    tmp_path: Path, content: Any, settings: dict[str, str], words: str
) -> None:
    path = save(tmp_path / "axis.pt", content)
    with pytest.raises(PersonaeError, match=rf"axis\.pt: .*{words}"):
        read_families(source(path, "axis", **settings), MODEL, Path())


def test_damaged_and_missing_files_are_refused(tmp_path: Path) -> None:
    for name in ("axis.pt", "axis.safetensors"):
        (tmp_path / name).write_bytes(b"not tensors")
        with pytest.raises(PersonaeError, match=name):
            read_families(source(tmp_path / name, "axis"), MODEL, Path())
    with pytest.raises(PersonaeError, match="no such file"):
        read_families(source(tmp_path / "other.pt", "axis"), MODEL, Path())


@pytest.mark.parametrize(
    ("kind", "settings"), [("axis", {"orientation": None}), ("role", {"orientation": "away"})]
)
def test_orientation_is_said_where_there_is_one(kind: str, settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="orientation"):
        source(Path("x.pt"), kind, **settings)


def test_the_node_holds_them_against_the_studys_own(tmp_path: Path) -> None:
    own = {"axis": -AXIS.numpy(), "random0": AXIS.numpy()}
    directions = [VectorFamily(name, "response_mean", v) for name, v in own.items()]
    roles = [VectorFamily("pirate", "response_mean", AXIS.numpy())]
    paths = {name: str(tmp_path / f"{name}.parquet") for name in ("d", "r", "t")}
    tables.write(direction_table(directions, []), paths["d"], "directions", {})
    tables.write(role_table(roles), paths["r"], "role_vectors", {})
    tables.write(trait_table(roles), paths["t"], "trait_vectors", {})
    files = [
        source(save(tmp_path / "axis.pt", AXIS), "axis"),
        source(save(tmp_path / "pirate.pt", 2 * AXIS), "role"),
        source(save(tmp_path / "capping.pt", capping(0.5)), "capping"),
    ]
    out = {
        name: str(tmp_path / "out" / f"{name}.parquet")
        for name in ("directions", "role_vectors", "trait_vectors", "floors", "published_cosines")
    }
    import_published_vectors.main(
        sources=[each.model_dump() for each in files],
        model=MODEL.model_dump(),
        own_directions=paths["d"],
        own_role_vectors=paths["r"],
        own_trait_vectors=[paths["t"]],
        paths_out=out,
        provenance={},
    )
    rows = tables.read(out["published_cosines"], "published_cosines").to_pylist()
    found = {(row["kind"], row["layer"]): row["cosine"] for row in rows}
    assert found["axis", 0] == pytest.approx(-1)
    assert found["role", 2] == pytest.approx(1)
    held = stack(tables.read(out["role_vectors"], "role_vectors"), "role")
    np.testing.assert_array_equal(held.vectors[0], 2 * AXIS.numpy())
    assert tables.read(out["trait_vectors"], "trait_vectors").num_rows == 0
    assert vector_rows(AXIS.numpy(), range(N_LAYERS))["layer"].to_pylist() == [0, 1, 2]
