"""Lookups that large plans do once find what Snakemake's own find."""

from functools import cache
from typing import NamedTuple

import pytest
from snakemake.io import IOFile
from snakemake.output_index import OutputIndex

from personae.workflow.snakemake_internals import each_group_once, rules_by_name

_OUTPUTS = {
    "generate": "results/{study}/{model}/roles/{role}/responses.parquet",
    "judge": "results/{study}/{model}/roles/{role}/scores.parquet",
    "judge_traits": "results/{study}/{model}/traits/{trait}/scores.parquet",
    "draw": "results/{study}/{model}/figures/{name}.svg",
    "card": "results/demo/card.md",
    "draft": "config/traits/{drafted}.yaml",
}


class _Rule(NamedTuple):
    name: str

    def products(self) -> list[str]:
        return [IOFile(_OUTPUTS[self.name])]


@pytest.fixture
def index() -> OutputIndex:
    """An index of rules with one output each."""
    return OutputIndex([_Rule(name) for name in _OUTPUTS])


@pytest.mark.parametrize(
    "path",
    [
        "results/demo/m/roles/pirate/responses.parquet",
        "results/demo/m/roles/pirate/scores.parquet",
        "results/demo/m/figures/steering.svg",
        "results/demo/card.md",
        "results/demo/m/card.md",
        "config/traits/brave.yaml",
        "config/traits/brave.yml",
        "responses.parquet",
        "",
    ],
)
def test_rules_found_by_a_files_name_are_those_that_snakemake_finds(
    index: OutputIndex, path: str
) -> None:
    """The same rules for outputs of every form, and none where Snakemake finds none."""
    assert rules_by_name(index, path) == OutputIndex.match(index, path)


def test_the_index_of_names_finds_something(index: OutputIndex) -> None:
    """A figure's name is not constant; a table's name is shared by two rules."""
    found = rules_by_name(index, "results/demo/m/figures/steering.svg")
    assert {rule.name for rule in found} == {"draw"}
    found = rules_by_name(index, "results/demo/m/roles/pirate/scores.parquet")
    assert {rule.name for rule in found} == {"judge", "judge_traits"}


def test_what_is_remembered_belongs_to_its_index() -> None:
    """A method looks once for every index and path, and never finds another index's rules."""

    class Counted(OutputIndex):
        def match(self, targetfile: str) -> set[_Rule]:
            self.calls.append(targetfile)
            return OutputIndex.match(self, targetfile)

    look = cache(Counted.match)
    one, other = Counted([_Rule("generate")]), Counted([_Rule("draw")])
    one.calls, other.calls = [], []
    paths = "results/d/m/roles/cat/responses.parquet", "results/d/m/figures/map.svg"
    answers = [{r.name for r in look(i, path)} for i in (one, other, one, other) for path in paths]
    assert answers == [{"generate"}, set(), set(), {"draw"}] * 2
    assert one.calls == other.calls == list(paths)


def test_a_check_of_groups_sees_each_once_and_leaves_the_graph_as_it_was() -> None:
    """Also where the check fails, as it does for a group that depends on itself."""

    class Graph:
        def __init__(self) -> None:
            first, second = ["a", "b"], ["a", "b"]
            self._group = {"a": first, "b": first, "c": second}

        def check(self) -> None:
            seen.extend(self._group.values())
            raise RuntimeError("depends on itself")

    seen: list[list[str]] = []
    graph = Graph()
    before = graph._group
    with pytest.raises(RuntimeError, match="depends on itself"):
        each_group_once(Graph.check)(graph)
    assert graph._group is before
    assert [id(group) for group in seen] == [id(before["a"]), id(before["c"])]
