"""``personae trace``: from a result back to its node, code, values, weights and inputs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from personae.data import tables
from personae.tools.cli import main
from personae.workflow.code_digest import code_digest, cover_engine
from personae.workflow.provenance import collect
from personae.workflow.provenance_chain import CLAIM_TABLES, trace

CONFIG = {"study": "tiny", "seed": 7}
ENGINE = {
    "model": "llm", "revision": "1", "weights_digest": "abcdef0123456789", "dtype": "float32",
    "device": "cpu", "engine": "torch 2",
}  # fmt: skip
RESPONSES = "results/tiny/m/roles/{}/responses.parquet"
SCORES = "results/tiny/m/roles/cat/scores.parquet"
SCORECARD = "results/tiny/scorecard.parquet"
ENDING = [
    "results/tiny/m/roles/cat/responses.parquet",
    "results/tiny/m/roles/dog/responses.parquet",
]


def write(
    name: str, kind: str, rows: list[dict[str, Any]], facts: Mapping[str, Any], **extra: str
) -> None:
    made = collect(config=CONFIG, code=facts.pop("code", "0" * 64), outputs=[name], **facts)
    tables.write(tables.from_rows(rows, kind), name, kind, {**made, **extra})


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Responses of two roles, scores of one of them, and a scorecard with one claim."""
    monkeypatch.chdir(tmp_path)
    cover_engine("torch")
    for role in ("cat", "dog"):
        generate: dict[str, Any] = {
            "code": code_digest("roles/generate_role_responses"), "engine": ENGINE,
            "rule": "generate_role_responses", "wildcards": {"role": role},
            "params": {"prompts": [f"You are a {role}."], "long": ["x" * 5000]},
        }  # fmt: skip
        write(RESPONSES.format(role), "role_responses", [{"role": role}], generate)
    judge: dict[str, Any] = {"rule": "judge_role_responses", "wildcards": {"role": "cat"}}
    write(SCORES, "scores", [{"judge": "j"}], judge | {"inputs": [RESPONSES.format("cat")]})
    score = {
        "rule": "build_scorecard",
        "wildcards": {},
        "inputs": [SCORES, RESPONSES.format("dog")],
    }
    row = {"claim": "cats-purr", "text": "Cats purr.", "model": "m", "value": 0.5, "n": 3}
    row |= {"verdict": "inconclusive", "reason": "too few", "low": 0.1, "high": 0.9, "judge": "j"}
    claims = {CLAIM_TABLES: json.dumps({"cats-purr": [SCORES]})}
    write(SCORECARD, "scorecard", [row], score, **claims)
    return tmp_path


def test_the_chain_ends_at_the_nodes_that_read_no_table(study: Path) -> None:
    chain = trace(study / SCORECARD)
    assert [one.path for one in chain] == [SCORECARD, SCORES, ENDING[1], ENDING[0]]
    assert not any(one.problem for one in chain)
    assert chain[-1].params["prompts"] == ["You are a cat."]
    assert chain[-1].params["long"]["characters"] == 5004
    # A node without a model has the weights of what it read.
    assert chain[0].facts["weights_digest"] == ENGINE["weights_digest"]


def test_a_claim_is_followed_through_the_tables_that_it_read(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trace", SCORECARD, "--claim", "cats-purr"]) == 0
    said = capsys.readouterr().out
    assert "m: 0.5 [0.1, 0.9], n 3, judge j: inconclusive (too few)" in said
    assert ENDING[0] in said
    assert ENDING[1] not in said
    assert 'value    prompts: ["You are a cat."]' in said
    assert "weights   llm 1 (abcdef012345), float32 on cpu, torch 2" in said
    assert "generate_role_responses.py and what it imports; the same as this checkout" in said
    assert "judge_role_responses.py and what it imports; not that of this checkout" in said
    assert main(["trace", SCORECARD, "--claim", "cats-pur"]) == 1
    assert "did you mean 'cats-purr'" in capsys.readouterr().err


def test_a_table_that_changed_or_went_breaks_the_chain(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = {"rule": "generate_role_responses", "wildcards": {}, "engine": ENGINE}
    write(ENDING[0], "role_responses", [{"role": "lion"}], again)
    (study / ENDING[1]).unlink()
    assert main(["trace", SCORECARD]) == 1
    said = capsys.readouterr().out
    assert f"! {ENDING[0]} was read as" in said
    assert f"! {ENDING[1]} is not there any more" in said


def test_json_has_every_file_with_its_facts(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trace", str(study / SCORES), "--json"]) == 0
    scores, responses = json.loads(capsys.readouterr().out)
    assert scores["inputs"] == {ENDING[0]: responses["checksum"]}
    assert responses["rule"] == "generate_role_responses"
    assert responses["params"]["prompts"] == ["You are a cat."]


def test_a_figure_is_traced_by_the_record_of_snakemake(study: Path) -> None:
    figure = study / "results/tiny/m/figures/cats.svg"
    figure.parent.mkdir()
    figure.write_text("<svg/>", "utf-8")
    assert main(["trace", str(figure)]) == 1  # nobody says how it was made
    records = study / ".snakemake/metadata"
    records.mkdir(parents=True)
    # The base64 form of its path, as Snakemake names the record.
    name = "cmVzdWx0cy90aW55L20vZmlndXJlcy9jYXRzLnN2Zw=="
    record = {"rule": "plot_cats", "input": [SCORES, "results/models/m/manifest.json"]}
    (records / name).write_text(json.dumps(record), "utf-8")
    chain = trace(figure)
    assert [one.path for one in chain] == ["results/tiny/m/figures/cats.svg", SCORES, ENDING[0]]
    assert chain[0].rule == "plot_cats"


@pytest.mark.parametrize(("name", "said"), [("none.parquet", "no such file"), ("a.txt", "neither")])
def test_what_cannot_be_traced_is_one_line(
    study: Path, name: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("a.txt").write_text("a", "utf-8")
    assert main(["trace", name]) == 1
    assert said in capsys.readouterr().err
