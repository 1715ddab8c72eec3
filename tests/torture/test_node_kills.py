"""The short form of what needs a study: kills of single nodes, damaged records of Snakemake."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .judge import JudgingEndpoint
from .node_kills import kill_node
from .nodes import Bench, nodes_of
from .processes import Victim
from .records import damage_records
from .study import RESULTS, TortureStudy, make_study

pytestmark = pytest.mark.full_size

_VECTORS = "results/mini/tiny/roles/pirate/vectors.parquet"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[JudgingEndpoint]:
    with JudgingEndpoint() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, endpoint: JudgingEndpoint) -> TortureStudy:
    """The torture study, run as far as the vectors of one role."""
    study = make_study(tmp_path_factory.mktemp("torture") / "study", endpoint.url)
    done = study.run("--", _VECTORS)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return study


@pytest.fixture(scope="module")
def bench(study: TortureStudy, endpoint: JudgingEndpoint) -> Bench:
    return Bench(study.project, study.arguments, RESULTS.as_posix(), endpoint)


def test_damaged_records_are_named_and_their_tables_made_again(study: TortureStudy) -> None:
    assert damage_records(study, 3, 1, is_finished=False) == []


@pytest.mark.parametrize(
    ("rule", "victim"),
    [
        ("generate_role_responses", "all"),
        ("judge_role_responses", "head"),
        ("compute_role_vectors", "node"),
    ],
)
def test_a_killed_node_is_made_again_from_what_is_there(
    bench: Bench, rule: str, victim: Victim
) -> None:
    node = next(node for node in nodes_of(bench.project.root, bench.results) if node.rule == rule)
    kill = kill_node(bench, node, victim, 1)
    assert kill is not None
    assert kill.wrong == []
    assert (kill.rows_kept > 0) == (node.asks == "model")
    assert (kill.answers_kept > 0) == (node.asks == "judge")
