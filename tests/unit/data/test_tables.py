"""Tables on disk are written completely or not at all, and rejected if their content differs."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from personae.data import table_checksums, tables
from personae.data.row_conditions import groups_meeting
from personae.data.schemas import SCHEMAS, VECTOR
from personae.data.tables import TableError
from personae.workflow.provenance import collect

FACTS = {"seed": "7", "model": "m"}


def vectors(n: int = 4, hidden: int = 3) -> np.ndarray:
    return np.arange(n * hidden, dtype=np.float32).reshape(n, hidden) - 2.5


def role_vectors(matrix: np.ndarray | None = None) -> pa.Table:
    matrix = vectors() if matrix is None else matrix
    n = len(matrix)
    part = pa.table(
        {
            "vector": tables.from_matrix(matrix),
            "role": ["pirate"] * n,
            "kind": ["fully"] * n,
            "layer": list(range(n)),
            "n": [12] * n,
            "n_unscored": [1] * n,
        }
    )
    return tables.assemble([part], "role_vectors")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a table that was written."""
    target = tmp_path / "pirate" / "vectors.parquet"
    tables.write(role_vectors(), target, "role_vectors", FACTS)
    return target


def test_round_trip(path: Path) -> None:
    table = tables.read(path, "role_vectors")
    assert table.schema.names == SCHEMAS["role_vectors"].names
    assert table["layer"].type == pa.int16()
    np.testing.assert_array_equal(tables.to_matrix(table["vector"]), vectors())
    assert tables.provenance(path) == FACTS
    assert list(path.parent.iterdir()) == [path]


def test_columns_and_filters(path: Path) -> None:
    table = tables.read(path, "role_vectors", columns=["layer"], filters=[("layer", ">", 1)])
    assert table.to_pydict() == {"layer": [2, 3]}
    assert tables.read(path, "role_vectors", ["n"]).column_names == ["n"]


def test_a_slice_of_chunks_gives_its_own_vectors() -> None:
    column = pa.chunked_array([tables.from_matrix(vectors()), tables.from_matrix(vectors())])
    expected = np.concatenate([vectors(), vectors()])[2:7]
    np.testing.assert_array_equal(tables.to_matrix(column.slice(2, 5)), expected)
    assert tables.to_matrix(column.slice(0, 0)).shape == (0, 3)


@pytest.mark.parametrize("left", [0, 3, 40, 400, -1])
def test_a_truncated_file_is_refused_by_name(path: Path, left: int) -> None:
    path.write_bytes(path.read_bytes()[:left])
    for read in (lambda: tables.read(path, "role_vectors"), lambda: tables.provenance(path)):
        with pytest.raises(TableError, match=r"vectors\.parquet: truncated or damaged") as caught:
            read()
        assert len(str(caught.value).splitlines()) == 1


def test_damaged_data_are_refused_by_name(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4:120] = b"\xff" * 116
    path.write_bytes(data)
    with pytest.raises(TableError, match=r"vectors\.parquet: truncated or damaged"):
        tables.read(path, "role_vectors")


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"absent\.parquet: no such table"):
        tables.read(tmp_path / "absent.parquet", "role_vectors")


def test_another_kind_of_table_is_refused_by_name(path: Path) -> None:
    with pytest.raises(TableError, match=r"vectors\.parquet: a table of kind role_vectors"):
        tables.read(path, "scores")


def test_a_table_that_another_program_wrote_is_refused_by_name(path: Path) -> None:
    pq.write_table(pq.read_table(path), path)
    with pytest.raises(TableError, match=r"vectors\.parquet: .*no checksums.*; delete it"):
        tables.read(path, "role_vectors")


def test_another_schema_under_the_same_name_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wider = SCHEMAS["role_vectors"].append(pa.field("colour", pa.string()))
    monkeypatch.setitem(SCHEMAS, "role_vectors", wider)
    with pytest.raises(TableError, match=r"vectors\.parquet: missing columns \['colour'\]"):
        tables.read(path, "role_vectors", ["n"])


def planted(kind: str, rows: int) -> pa.Table:
    """Return a table with every kind of column, its layers out of order."""
    rng = np.random.default_rng(rows)

    def column(field: pa.Field) -> Any:
        if field.type == VECTOR:
            return tables.from_matrix(rng.normal(size=(rows, 16)))
        if pa.types.is_integer(field.type):
            return pa.array(rng.integers(0, 9, size=rows), field.type)
        if pa.types.is_floating(field.type):
            return pa.array(rng.normal(size=rows))
        if pa.types.is_list(field.type):
            return pa.array([[1, i] if i % 3 else [] for i in range(rows)], field.type)
        if pa.types.is_boolean(field.type):
            return pa.array(rng.random(rows) < 0.5)
        return pa.array([None if i % 7 == 1 else f"words {i}" for i in range(rows)])

    return tables.assemble([pa.table({f.name: column(f) for f in SCHEMAS[kind]})], kind)


@pytest.mark.parametrize("kind", ["role_responses", "scores", "activations", "projections"])
@pytest.mark.parametrize("rows", [0, 3, 1700])
def test_no_flipped_bit_is_read_as_data(tmp_path: Path, kind: str, rows: int) -> None:
    path = tmp_path / "table.parquet"
    tables.write(planted(kind, rows), path, kind, FACTS)
    whole, draw = path.read_bytes(), random.Random(rows)
    for _ in range(40):
        flipped = bytearray(whole)
        flipped[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        path.write_bytes(flipped)
        with pytest.raises(TableError, match=r"table\.parquet: truncated or damaged .*; delete it"):
            tables.read(path, kind)


def test_checksums_cover_every_byte_of_the_data(path: Path) -> None:
    chunks = list(table_checksums.chunks_of(pq.read_metadata(path)))
    with path.open("rb") as file:
        footer = table_checksums.check_footer(file)
    assert [chunk.start for chunk in chunks] == [
        4,
        *(chunk.start + chunk.length for chunk in chunks[:-1]),
    ]
    assert chunks[-1].start + chunks[-1].length == footer.start


def test_one_layer_is_read_though_another_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "activations.parquet"
    whole = planted("activations", 9000)
    tables.write(whole, path, "activations", FACTS)
    metadata = pq.read_metadata(path)
    assert metadata.num_row_groups == 9
    data = bytearray(path.read_bytes())
    first = next(table_checksums.chunks_of(metadata, [8]))
    data[first.start + 1] ^= 1
    path.write_bytes(data)
    layer = tables.read(path, "activations", filters=[("layer", "==", 3)])
    assert layer.equals(whole.filter(pc.equal(whole["layer"], 3)))
    # Neither is a column that is not asked for.
    assert tables.read(path, "activations", ["n_tokens"]).num_rows == 9000
    for filters in (None, [("layer", "==", 8)]):
        with pytest.raises(TableError, match="column response_id does not match its checksum"):
            tables.read(path, "activations", filters=filters)


def test_the_same_rows_have_the_same_content_whenever_they_are_written(tmp_path: Path) -> None:
    sums = []
    for name, rows in (("a", 5), ("b", 5), ("c", 6)):
        path = tmp_path / f"{name}.parquet"
        tables.write(planted("scores", rows), path, "scores", {"time": name})
        sums.append(table_checksums.content_checksum(path))
    assert sums[0] == sums[1] != sums[2]


def test_only_declared_tables_are_written(tmp_path: Path) -> None:
    target = tmp_path / "x.parquet"
    table = role_vectors()
    wrong = table.set_column(3, "n", pa.array([1.5] * 4))
    swapped = table.select(["kind", "role", "layer", "n", "n_unscored", "vector"])
    unknown = table.append_column("colour", pa.array(["red"] * 4))
    for bad, words in (
        (wrong, "column n is double, not int32"),
        (swapped, "columns in the order"),
        (unknown, r"unexpected columns \['colour'\]"),
    ):
        with pytest.raises(TableError, match=words):
            tables.write(bad, target, "role_vectors", FACTS)
    with pytest.raises(TableError, match="no kind of table 'rolle_vectors'"):
        tables.write(table, target, "rolle_vectors", FACTS)
    assert not target.exists()


def test_a_failed_write_leaves_the_old_table_and_no_debris(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()

    def breaks(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", breaks)
    with pytest.raises(OSError, match="disk full"):
        tables.write(role_vectors(), path, "role_vectors", FACTS)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_rows_and_parts_meet_the_declared_schema() -> None:
    row = {"judge": "likelihood", "rubric": "trait", "target": "poetic", "n": 3}
    table = tables.from_rows([row], "agreement")
    assert table.schema == SCHEMAS["agreement"]
    assert table["auc"].to_pylist() == [None]
    with pytest.raises(TableError, match=r"row 0 of agreement: undeclared columns \['colour'\]"):
        tables.from_rows([{**row, "colour": "red"}], "agreement")
    with pytest.raises(TableError, match="rows of agreement"):
        tables.from_rows([{**row, "n": "three"}], "agreement")
    assert tables.assemble([], "role_vectors").num_rows == 0
    with pytest.raises(TableError, match="a part of agreement: missing columns"):
        tables.assemble([pa.table({"judge": ["x"]})], "agreement")


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        (np.zeros(3), r"shape \(3,\)"),
        (np.zeros((2, 0)), r"shape \(2, 0\)"),
        (np.array([[0.0], [np.nan]]), "vector 1 of 2"),
    ],
)
def test_arrays_that_are_no_vectors_are_refused(matrix: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        tables.from_matrix(matrix)


def test_columns_that_are_no_vectors_are_refused() -> None:
    with pytest.raises(ValueError, match="holds no float32 vectors"):
        tables.to_matrix(pa.array([b"abc"]))
    with pytest.raises(ValueError, match="1 of 2 vectors are null"):
        tables.to_matrix(pa.array([b"abcd", None], pa.binary(4)))


def test_provenance_of_a_node_without_a_model_is_that_of_its_inputs(path: Path) -> None:
    facts = {"config": {"study": "demo", "seed": 3}, "code": "c", "rule": "r", "wildcards": {}}
    engine = {
        "model": "m",
        "revision": "v",
        "weights_digest": "w",
        "dtype": "float32",
        "device": "cpu",
        "engine": "torch 2.13.0",
        "pid": 1,
    }
    made = collect(**facts, engine=engine)
    tables.write(role_vectors(), path, "role_vectors", made)
    inherited = collect(**facts, inputs=[path, "results/models/m/manifest.json"])
    for name in ("model", "revision", "weights_digest", "dtype", "device", "engine", "seed"):
        assert inherited[name] == made[name]
    assert {"config_digest", "code_digest", "versions", "time"} <= set(inherited)
    assert "pid" not in made


def test_conditions_are_those_of_pyarrow_and_read_only_the_groups_that_may_meet_them(
    tmp_path: Path,
) -> None:
    rng, n = np.random.default_rng(0), 3000
    columns = {
        "response_id": [f"r{i % 50}" if i % 7 else None for i in range(n)],
        "layer": pa.array(np.sort(rng.integers(0, 6, n)), pa.int16()),
        "projection": rng.normal(size=n),
    }
    path = tmp_path / "p.parquet"
    made = tables.assemble([pa.table(columns)], "prompt_projections")
    tables.write(made, path, "prompt_projections", FACTS)
    for conditions in (
        [("layer", "==", 3)],
        [("layer", ">=", 2), ("layer", "<", 4)],
        [("layer", "in", [0, 5]), ("projection", ">", 0.5)],
        [("response_id", "==", "r7")],
        [("layer", "<=", 0)],
        [("layer", ">", 5)],
    ):
        expected = pq.read_table(path, filters=conditions).replace_schema_metadata(None)
        assert tables.read(path, "prompt_projections", filters=conditions).equals(expected)
    assert len(groups_meeting(pq.read_metadata(path), [("layer", "==", 3)])) == 1
    assert groups_meeting(pq.read_metadata(path), [("layer", ">", 5)]) == []
    with pytest.raises(ValueError, match="comparison '~'"):
        tables.read(path, "prompt_projections", filters=[("layer", "~", 3)])
