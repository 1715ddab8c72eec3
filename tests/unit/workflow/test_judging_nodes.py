"""Nodes that judge by an endpoint, run as Snakemake runs them: logs, tables, errors, keys."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scripts.judging import calibrate_judges, summarize_scores
from scripts.roles import compute_role_vectors, judge_role_responses
from snakemake.iocontainers import Params

from personae.base.errors import PersonaeError
from personae.data import tables
from personae.data.schemas import SCHEMAS
from personae.judging.labelled_set import labelled_items
from personae.judging.rubrics import KINDS
from personae.personas.library import Labelled
from personae.workflow import node_params
from personae.workflow.config import load_study
from personae.workflow.node import run_judge_node
from tests.unit.endpoints.conftest import KEY, _fast_and_with_key, serve
from tests.unit.endpoints.misbehaving import Endpoint, Reply, completion, failure

__all__ = ["_fast_and_with_key", "serve"]

ROOT = Path(__file__).resolve().parents[3]
ROLE = {"slug": "pirate", "description": "A pirate.", "rubric": "Full: speaks as a pirate."}


def study(endpoint: Endpoint, folder: Path, **judging: Any) -> dict[str, Any]:
    """Return a study that an endpoint judges."""
    return {
        "study": "keys",
        "models": ["smollm2_135m"],
        "judging": {"primary": "remote", "second": None, "answers": str(folder / "answers")}
        | judging,
        "endpoints": {
            "remote": {
                "base_url": endpoint.url,
                "model": "judge",
                "key_variable": "PLANTED_KEY",
                "attempts": 2,
            }
        },
    }


def responses(folder: Path, count: int) -> str:
    """Write a table of role responses."""
    rows = [
        {
            "response_id": f"r{i}",
            "messages": "[]",
            "prompt_ids": [1],
            "response_ids": [2],
            "response": f"arr {i}",
            "finish_reason": "stop",
            "ids_from": "generation",
            "seed": i,
            "system_inserted": "",
            "fired": 0,
            "question": "Who are you?",
            "role": "pirate",
            "prompt_index": 0,
            "question_id": "q",
            "split": "extraction",
            "sample": 0,
        }
        for i in range(count)
    ]
    path = folder / "responses.parquet"
    tables.write(tables.from_rows(rows, "role_responses"), path, "role_responses", {})
    return str(path)


@pytest.fixture
def judged(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that runs the node in its own folder."""

    def run(config: dict[str, Any], count: int = 10) -> Path:
        checked = load_study(config, ROOT)
        empty = tables.from_rows([], "calibration")
        tables.write(empty, tmp_path / "calibration.parquet", "calibration", {})
        record = node_params.judging(checked, {"role_adherence": ["pirate"]})
        snakemake = SimpleNamespace(
            rule="judge_role_responses",
            wildcards={"role": "pirate"},
            log=[str(tmp_path / "node.log")],
            config=config,
            params=Params(fromdict={"code": "c", "judging": json.loads(json.dumps(record))}),
            input=[],
            output=["scores.parquet"],
        )
        run_judge_node(
            snakemake,
            judge_role_responses.main,
            responses=responses(tmp_path, count),
            calibration=str(tmp_path / "calibration.parquet"),
            role=ROLE,
            judging=snakemake.params.judging,
            labelled=str(ROOT / "config/judging"),
            config=config,
            path_out=str(tmp_path / "scores.parquet"),
        )
        return tmp_path / "scores.parquet"

    return run


def planted(folder: Path) -> list[Path]:
    """Return the files that hold the planted key."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.name == "node.log" for path in files)
    return [path for path in files if KEY.encode() in path.read_bytes()]


def test_a_node_judged_by_an_endpoint_needs_no_model_server(
    serve: Callable[..., Endpoint], judged: Callable[..., Path], tmp_path: Path
) -> None:
    prompts: list[str] = []

    def behave(body: dict[str, Any], before: int) -> Reply:
        prompts.append(body["messages"][0]["content"])
        return completion(f"Not {KEY}.\nVERDICT: 3")

    path = judged(study(serve(behave), tmp_path))
    table = tables.read(path, "scores")
    assert table["score"].to_pylist() == [3.0] * 10
    assert set(table["mode"].to_pylist()) == {"text"}
    assert all("Full: speaks as a pirate." in prompt for prompt in prompts)
    assert planted(tmp_path) == []
    assert "remote: 10 of 10 answers" in (tmp_path / "node.log").read_text()
    found = summarized(tmp_path, str(path), str(tmp_path / "absent.parquet"))
    (row,) = found["summary"]
    assert (row["judge"], row["n"], row["n_unscored"], row["mean"]) == ("remote", 10, 0, 3.0)
    assert found["pairs"] == found["confusion"] == []


def summarized(folder: Path, scores: str, responses: str) -> dict[str, list[dict[str, Any]]]:
    """Summarise one table of role scores."""
    paths = {name: str(folder / f"{name}.parquet") for name in summarize_scores.SCHEMAS}
    labelled = str(folder / "labelled_scores.parquet")
    tables.write(tables.from_rows([], "labelled_scores"), labelled, "labelled_scores", {})
    summarize_scores.main(
        scores={"roles": [scores]},
        responses={"roles": [responses]},
        kinds={"roles": "role_responses"},
        labelled=labelled,
        seed=0,
        paths_out=paths,
        provenance={},
    )
    return {
        name: tables.read(paths[name], schema).to_pylist()
        for name, schema in summarize_scores.SCHEMAS.items()
    }


def test_judges_of_the_same_responses_are_compared_on_them(tmp_path: Path) -> None:
    given = {"gpt": [3, 3, 1, 1, 2, 3, 0, None], "other": [3, 2, 1, 1, 2, 3, 1, 3]}
    rows = [
        {"response_id": f"r{i}", "rubric": "role_adherence", "target": "pirate", "judge": judge,
         "primary": judge == "gpt", "score": score, "raw": "", "mode": "text",
         "reason": "refusal" if score is None else None}
        for judge, values in given.items()
        for i, score in enumerate(values)
        if judge == "gpt" or i > 0
    ]  # fmt: skip
    path = tmp_path / "scores.parquet"
    tables.write(tables.from_rows(rows, "scores"), path, "scores", {})
    found = summarized(tmp_path, str(path), responses(tmp_path, 8))
    (pair,) = found["pairs"]
    assert (pair["judge"], pair["other"], pair["arm"]) == ("gpt", "other", "roles")
    assert (pair["n"], pair["n_unscored"]) == (6, 1)
    assert 0.4 < pair["kappa"] < 1.0
    assert 0.8 < pair["spearman"] < 1.0
    # All have one question, which says nothing of the spread between questions.
    assert math.isnan(pair["kappa_low"])
    counts = {(r["predicted"], r["label"]): r["n"] for r in found["confusion"]}
    assert counts == {
        ("3", "2"): 1, ("1", "1"): 2, ("2", "2"): 1, ("3", "3"): 1, ("0", "1"): 1,
        ("unscored", "3"): 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("behave", "words"),
    [
        (lambda body, _: failure(401, f"Incorrect API key: {KEY}"), "refuses model"),
        (lambda body, _: failure(500, f"Bearer {KEY}"), "requests failed"),
        (lambda body, _: completion(f"{KEY}?"), "unscored on role_adherence (parse_failure 10)"),
    ],
    ids=["refused", "failing", "unscored"],
)
def test_a_node_that_fails_says_why_in_one_line_without_key(
    serve: Callable[..., Endpoint],
    judged: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    behave: Callable[..., Reply],
    words: str,
) -> None:
    with pytest.raises(SystemExit) as exit_:
        judged(study(serve(behave), tmp_path))
    assert exit_.value.code == 1
    shown = capsys.readouterr().err.strip()
    assert words in shown
    assert "\n" not in shown
    assert KEY not in shown
    assert planted(tmp_path) == []
    assert not (tmp_path / "scores.parquet").exists()


def test_a_traceback_holds_no_key(
    serve: Callable[..., Endpoint],
    judged: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError(f"request with {KEY}")

    monkeypatch.setattr("personae.judging.score_responses.judge_table", broken)
    monkeypatch.setattr("personae.judging.score_responses.Runtime.of", lambda config: broken())
    from personae.endpoints.keys import find_key

    find_key("PLANTED_KEY")
    with pytest.raises(SystemExit):
        judged(study(serve(lambda body, _: completion("x")), tmp_path))
    log = (tmp_path / "node.log").read_text()
    assert "Traceback" in log
    assert "RuntimeError: request with [key]" in log
    assert planted(tmp_path) == []


def test_endpoints_are_measured_on_the_labelled_set_like_every_judge(
    serve: Callable[..., Endpoint], tmp_path: Path
) -> None:
    """A judge that says 80 to long answers and 20 to short ones, and 3 points less in turn."""

    def behave(body: dict[str, Any], before: int) -> Reply:
        prompt = body["messages"][0]["content"]
        first = prompt.index("The answer is between") < 200
        if "<speaker: " in prompt:
            return completion("VERDICT: human")
        if "<normalises: " in prompt:
            return completion("VERDICT: 1 5")
        if "0 to 3" in prompt:
            return completion("VERDICT: 3")
        return completion(f"VERDICT: {(80 if 'fluent' in prompt else 20) - 3 * first}")

    config = study(serve(behave), tmp_path)
    checked = load_study(config, ROOT)
    measured = checked.library.labelled.model_dump()
    traits = dict(list(node_params.judged_traits(checked).items())[:1])
    names = (
        "calibration",
        "labelled_scores",
        "agreement",
        "confusion",
        "judge_pairs",
        "judge_bias",
    )
    calibrate_judges.main(
        judging=node_params.measuring(checked),
        labelled=measured,
        traits=traits,
        roles=node_params.judged_roles(checked),
        seed=0,
        paths_out={name: str(tmp_path / f"{name}.parquet") for name in names},
        config=config,
        engine=None,
        provenance={},
    )
    found = {name: tables.read(tmp_path / f"{name}.parquet", name).to_pylist() for name in names}
    items = labelled_items(
        Labelled.model_validate(measured), traits, node_params.judged_roles(checked)
    )
    used = node_params.judged_kinds(checked)
    assert len(found["labelled_scores"]) == sum(item.rubric.kind in used for item in items)
    assert {row["rubric"] for row in found["agreement"]} == used < set(KINDS)
    order = {r["rubric"]: r["value"] for r in found["judge_bias"] if r["bias"] == "order"}
    assert order["trait"] == pytest.approx(-0.03)
    assert order["role_adherence"] == 0.0
    assert found["calibration"] == []
    assert found["judge_pairs"] == []


def test_judges_are_not_calibrated_on_what_they_leave_unscored(
    serve: Callable[..., Endpoint], tmp_path: Path
) -> None:
    config = study(serve(lambda body, _: completion("I cannot say.")), tmp_path)
    checked = load_study(config, ROOT)
    with pytest.raises(PersonaeError, match=r"remote: .* unscored on .*max_unscored = 0.2"):
        calibrate_judges.main(
            judging=node_params.measuring(checked),
            labelled=checked.library.labelled.model_dump(),
            traits={},
            roles={},
            seed=0,
            paths_out={},
            config=config,
            engine=None,
            provenance={},
        )


@pytest.mark.parametrize("score", [None, 2.0])
def test_role_vectors_say_how_many_responses_had_no_score(
    tmp_path: Path, score: float | None
) -> None:
    path = responses(tmp_path, 10)
    names = [f"r{i}" for i in range(10)]
    rows = [
        {"response_id": name, "rubric": "role_adherence", "target": "pirate", "judge": "gpt",
         "primary": True, "score": 3.0 if i else score, "raw": "", "mode": "text",
         "reason": None if i or score else "refusal"}
        for i, name in enumerate(names)
    ]  # fmt: skip
    tables.write(tables.from_rows(rows, "scores"), tmp_path / "s.parquet", "scores", {})
    columns = {"response_id": names, "span": ["response_mean"] * 10, "layer": [0] * 10}
    vectors = tables.from_matrix(np.ones((10, 4), np.float32))
    part = pa.table({**columns, "n_tokens": [3] * 10, "vector": vectors})
    tables.write(tables.assemble([part], "activations"), tmp_path / "a.parquet", "activations", {})
    kinds = ("role_vectors", "activation_sums", "kept_activations")
    compute_role_vectors.main(
        role="pirate",
        responses=path,
        scores=str(tmp_path / "s.parquet"),
        activations=str(tmp_path / "a.parquet"),
        paths_out={kind: str(tmp_path / f"{kind}.parquet") for kind in kinds},
        keep={"folds": 2, "sampled": 3, "layers": [0]},
        max_unscored=0.2,
        engine=None,
        provenance={},
    )
    rows = tables.read(tmp_path / "role_vectors.parquet", "role_vectors").to_pylist()
    row = rows[0]
    assert [(r["kind"], r["n"]) for r in rows[1:]] == ([("somewhat", 1)] if score else [])
    assert (row["kind"], row["n"], row["n_unscored"]) == ("fully", 9, int(score is None))


def test_the_client_library_is_loaded_only_where_an_endpoint_judges() -> None:
    code = (
        "import sys, personae.judging.score_responses, personae.workflow.node;"
        "import personae.workflow.node_params, roles.judge_role_responses;"
        "sys.exit(bool({'openai', 'torch', 'dotenv'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "scripts", timeout=60)
    assert done.returncode == 0


def test_declared_columns_cover_verdicts() -> None:
    assert {"label", "parts", "mode", "mass"} <= set(SCHEMAS["scores"].names)
