"""Nodes of a batch job keep what they finished; judges that need no model load none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from personae.base.errors import PersonaeError
from personae.inference import client
from personae.inference.weights_manifest import MANIFEST
from personae.judging.local_embedder import EmbedderAlone
from personae.workflow.node import run_judge_node

API = {"primary": "gpt", "second": "embedding", "sampled": []}


class Params(dict[str, Any]):
    """Parameters as Snakemake hands them over: by name, and as a mapping."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


class Node:
    """A node that judges."""

    def __init__(self, judging: dict[str, Any]) -> None:
        self.log = ["logs/node.log"]
        self.rule = "judge_role_responses"
        self.wildcards = {"role": "pirate"}
        self.params = Params(
            code="c0de", judging=judging, engine={"model": "m", "embedder": "embedder"}
        )
        self.config = {"study": "s", "seed": 3}
        self.input = ["responses"]
        self.output = ["results/s/scores"]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Run in an empty project, in which asking for a model fails; count what nodes compute."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "responses").write_text("r")

    def connect(*_: object) -> None:
        raise PersonaeError("the model was asked for")

    monkeypatch.setattr(client, "connect", connect)
    return []


def judge(node: Node, made: list[Any]) -> None:
    def main(*, engine: Any, provenance: dict[str, str]) -> None:
        made.append(engine)
        Path("results/s").mkdir(parents=True, exist_ok=True)
        Path("results/s/scores").write_text("scores")

    run_judge_node(node, main)


def test_a_judge_behind_an_api_loads_no_model(made: list[Any]) -> None:
    judge(Node(API), made)
    (engine,) = made
    assert isinstance(engine, EmbedderAlone)
    with pytest.raises(PersonaeError, match="needs the model"):
        engine.loglikelihood([])
    with pytest.raises(PersonaeError, match=MANIFEST):
        engine.embed(["text"])


def test_the_likelihood_judge_asks_for_the_model(
    made: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        judge(Node({"primary": "likelihood", "second": None, "sampled": []}), made)
    assert "the model was asked for" in capsys.readouterr().err


def test_in_a_batch_job_a_finished_node_is_restored(
    made: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    judge(Node(API), made)
    Path("results/s/scores").unlink()
    judge(Node(API), made)
    assert len(made) == 1
    assert Path("results/s/scores").read_text() == "scores"
    assert "restored" in Path("logs/node.log").read_text()


def test_outside_of_one_nothing_is_kept(made: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    judge(Node(API), made)
    judge(Node(API), made)
    assert len(made) == 2
    assert not Path("results/s/.finished").exists()
