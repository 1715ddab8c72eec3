"""The short form of `make torture`: nodes of a finished study are killed and made again."""

from __future__ import annotations

import pytest

from tests.torture.node_kills import kill_node
from tests.torture.nodes import Bench, Found, nodes_of
from tests.torture.processes import Victim

from .conftest import MINI, Project


@pytest.mark.parametrize(
    ("rule", "victim"),
    [("replay_conversations", "node"), ("sweep_trait_layers", "all"), ("compute_axis", "head")],
)
def test_a_node_that_is_killed_is_made_again_from_what_is_there(
    project: Project, rule: str, victim: Victim
) -> None:
    arguments = ("--profile", "local", "--configfile", MINI, "--cores", "2")
    bench, found = Bench(project, arguments, "results/mini"), Found()
    node = next(node for node in nodes_of(bench) if node.rule == rule)
    kill_node(bench, node, victim, 1, found)
    assert found.failures + found.differing + found.lost == []
    assert found.hit[rule] == 1
    assert (found.rows_kept[rule] > 0) == (node.asks == "model")
