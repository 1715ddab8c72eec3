"""What is damaged is set aside before jobs are planned, and counts as missing until it is made."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.iocontainers import Params

from personae.data import tables
from personae.data.integrity import missing_tables
from personae.workflow.damaged_results import clear_damage
from personae.workflow.node import run_node

NAME = "results/s/m/scores.parquet"


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write one table of a study, with Snakemake's record of it."""
    monkeypatch.chdir(tmp_path)
    rows = [{"response_id": str(i), "raw": "words"} for i in range(9)]
    facts = {"outputs": json.dumps([NAME])}
    tables.write(tables.from_rows(rows, "scores"), NAME, "scores", facts)
    record = record_of(NAME)
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"rule": "judge"}))
    return Path(NAME)


def record_of(name: str, kind: str = "metadata") -> Path:
    return Path(".snakemake", kind, base64.urlsafe_b64encode(name.encode()).decode())


def clear(is_dry: bool = False) -> list[str]:
    return clear_damage(Path(), Path("results/s"), is_dry=is_dry)


def test_a_sound_table_stays(table: Path) -> None:
    assert clear() == []
    assert table.exists()


def test_a_truncated_table_is_missing_until_it_is_made_again(table: Path) -> None:
    whole = table.read_bytes()
    table.write_bytes(whole[:-9])
    assert clear(is_dry=True) == [f"{NAME}: truncated or damaged; it is made again"]
    assert table.exists()
    clear()
    assert not table.exists()
    assert missing_tables(Path("results")) == [table]
    table.write_bytes(whole)
    assert missing_tables(Path("results")) == []
    assert [path.name for path in table.parent.iterdir()] == [table.name]


@pytest.mark.parametrize("kind", ["metadata", "incomplete"])
@pytest.mark.parametrize(
    "left", [b"", b'{"rule": "ju', b"\xff{}", b'{"rule" "judge"}', b"[" * 9999]
)
def test_a_damaged_record_has_its_file_made_again(table: Path, left: bytes, kind: str) -> None:
    record = record_of(NAME, kind)
    record.parent.mkdir(exist_ok=True)
    record.write_bytes(left)
    (said,) = clear()
    assert said == f"{record}: Snakemake's record of {NAME} is damaged; that is made again"
    assert not record.exists()
    assert missing_tables(Path("results")) == [table]


def test_a_long_record_is_found_in_its_folders(table: Path) -> None:
    name = f"results/{'s/' * 130}m.txt"
    code = base64.urlsafe_b64encode(name.encode()).decode()
    record = Path(".snakemake/metadata", f"@{code[:254]}", code[254:])
    record.parent.mkdir()
    record.write_text("{")
    assert clear() == [f"{record}: Snakemake's record of {name} is damaged; that is made again"]


def test_a_node_sets_aside_an_input_whose_data_are_damaged(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(table.read_bytes())
    data[40] ^= 1
    table.write_bytes(data)
    assert clear() == []  # the data are not read at the start
    node = SimpleNamespace(
        log=["node.log"],
        rule="read",
        wildcards={},
        threads=1,
        params=Params(fromdict={"code": "c0de"}),
        config={"study": "s"},
        input=[NAME],
        output=["out.parquet"],
    )

    def main(*, provenance: dict[str, str]) -> None:
        tables.read(NAME, "scores")

    with pytest.raises(SystemExit):
        run_node(node, main)
    said = capsys.readouterr().err
    assert said.startswith(f"read: {NAME}: truncated or damaged (column response_id")
    assert "it was set aside; run again" in said
    assert missing_tables(Path("results")) == [table]
