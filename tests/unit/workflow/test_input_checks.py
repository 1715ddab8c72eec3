"""A table in the place of another, or made from another version of its input, is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.iocontainers import Params

from personae.data import tables
from personae.data.matching_ids import answered, check_ids
from personae.data.tables import TableError
from personae.workflow.input_checks import InputError, check_inputs
from personae.workflow.node import run_node

ROLES = ("pirate", "wizard")


def place(role: str, name: str) -> str:
    return f"results/s/m/roles/{role}/{name}.parquet"


def node(role: str, rule: str, inputs: list[str], output: str) -> SimpleNamespace:
    """Describe a node as Snakemake does."""
    return SimpleNamespace(
        log=["node.log"],
        rule=rule,
        wildcards={"study": "s", "model": "m", "role": role},
        threads=1,
        params=Params(fromdict={"code": "c0de"}),
        config={"study": "s", "seed": 3},
        input=inputs,
        output=[output],
    )


def write(role: str, name: str, inputs: list[str], text: str) -> None:
    """Run a node that writes one table."""

    def main(*, provenance: dict[str, str]) -> None:
        row = {"response_id": f"{role}-0", "raw": text}
        tables.write(tables.from_rows([row], "scores"), place(role, name), "scores", provenance)

    run_node(node(role, f"make_{name}", inputs, place(role, name)), main)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Make two tables of each role, the second from the first; return a role's two."""
    monkeypatch.chdir(tmp_path)
    for role in ROLES:
        write(role, "first", [], role)
        write(role, "second", [place(role, "first")], role)
    return lambda role: [place(role, "first"), place(role, "second")]


def test_tables_in_their_places_are_accepted(made: Callable[[str], list[str]]) -> None:
    check_inputs([*made("pirate"), *made("wizard"), "results/models/m/manifest.json"])


@pytest.mark.parametrize("name", ["first", "second"])
def test_another_role_s_table_is_refused_by_name(
    made: Callable[[str], list[str]], name: str
) -> None:
    shutil.copy(place("wizard", name), place("pirate", name))
    with pytest.raises(InputError) as caught:
        check_inputs(made("pirate"))
    said = str(caught.value)
    assert said.startswith(place("pirate", name))
    assert "role=wizard" in said
    assert "delete it and run" in said


def test_a_table_that_moved_to_another_name_is_refused(made: Callable[[str], list[str]]) -> None:
    first, second = made("pirate")
    shutil.copy(first, second)
    with pytest.raises(InputError, match="is a table of make_first"):
        check_inputs([second])


def test_a_table_made_from_another_version_of_its_input_is_refused(
    made: Callable[[str], list[str]],
) -> None:
    first, second = made("pirate")
    write("pirate", "first", [], "pirate")
    check_inputs([first, second])  # written again with the same content
    write("pirate", "first", [], "changed")
    check_inputs([second])  # what it was made from is not read here
    with pytest.raises(InputError, match=r"second\.parquet: was made from another version of"):
        check_inputs([first, second])


def test_a_node_checks_before_it_works(
    made: Callable[[str], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(place("wizard", "first"), place("pirate", "first"))

    def main(*, provenance: dict[str, str]) -> None:
        raise AssertionError("it ran")

    with pytest.raises(SystemExit):
        run_node(node("pirate", "read", made("pirate"), "out.parquet"), main)
    assert "role=wizard" in capsys.readouterr().err


def test_ids_of_joined_tables_must_match() -> None:
    rows = [
        {"response_id": "a", "response_ids": [1]},
        {"response_id": "b", "response_ids": []},
        {"response_id": "c", "response_ids": [2, 3]},
    ]
    ids = answered(tables.from_rows(rows, "role_responses"))
    assert ids == ["a", "c"]
    check_ids("x.parquet", {"c", "a"}, ids, "r.parquet")
    with pytest.raises(TableError, match=r"x\.parquet: 1 of its 2 responses are not in r\.parquet"):
        check_ids("x.parquet", ["a", "z"], ids, "r.parquet")
    with pytest.raises(TableError, match="2 of that are missing, such as 'a'"):
        check_ids("x.parquet", [], ids, "r.parquet")
