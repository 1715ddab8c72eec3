"""A study whose judge and generator are endpoints, run through Snakemake to its end.

The judge is a small HTTP server; the generator is the project's own model server on a port.
"""

from __future__ import annotations

import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
import yaml

from personae.api.requests import EngineSpec
from personae.data import tables
from tests.unit.endpoints.misbehaving import Endpoint, Reply, completion

from .conftest import MINI, Project, copy_linked, counts, parse_jobs

KEY = "planted-key-51c0de"
STUDY = "endpoints.yaml"
MODEL = "results/models/smollm2_135m"
SPOILED = 9  # one reply in so many holds no verdict
UNUSABLE = "I would rate this 100."
AGREEMENT = "results/mini/smollm2_135m/judging/agreement.parquet"
SCORES = "results/mini/smollm2_135m/roles/pirate/scores.parquet"
RESPONSES = "results/mini/smollm2_135m/roles/pirate/responses.parquet"
PATIENCE = 120.0


def digest(prompt: str) -> int:
    """Return a number that depends on what stands before the answer alone."""
    asked = re.sub(r"[0-9a-f]{12}", "", prompt.partition("The answer is between the marks")[0])
    return int.from_bytes(hashlib.sha256(asked.encode()).digest()[:4])


def judge(body: dict[str, Any], _before: int) -> Reply:
    """Say the highest or the lowest by a digest of what stands before the answer, or no verdict.

    Responses differ from machine to machine, and which roles are played must not.
    """
    prompt = body["messages"][-1]["content"]
    number = digest(prompt)
    if number % SPOILED == 0:
        return completion(UNUSABLE)
    form = prompt.rsplit("VERDICT: ", 2 if "REFUSAL" in prompt else 1)[1].splitlines()[0]
    verdict = re.sub(
        r"<\w+: a (?:whole )?number from (\d+) to (\d+)>",
        lambda found: found[2] if number % 3 else found[1],
        form,
    )
    verdict = re.sub(r"<[a-z]+: ([a-z]+),.*>", r"\1", verdict)
    return completion(f"So be it.\nVERDICT: {verdict}")


@dataclass(frozen=True)
class Remote:
    """A project whose study is judged at an endpoint that counts its requests."""

    project: Project
    endpoint: Endpoint

    def command(self, *arguments: str) -> tuple[list[str], dict[str, str]]:
        """Return a command line and its environment."""
        arguments = ("--cores", "2", "--configfile", STUDY, *arguments)
        return self.project.command(*arguments)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake on the study."""
        command, environment = self.command(*arguments)
        root = self.project.root
        return subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, timeout=600
        )

    def done(self, *arguments: str) -> str:
        """Run to the end and return what was said."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout + done.stderr

    def change(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Edit the study."""
        path = self.project.root / STUDY
        study = yaml.safe_load(path.read_text(encoding="utf-8"))
        change(study)
        path.write_text(yaml.safe_dump(study), encoding="utf-8")


@pytest.fixture(scope="module")
def remote(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    """A copy of the finished project, whose study an endpoint now judges; the key is in .env."""
    root = tmp_path_factory.mktemp("remote") / "project"
    copy_linked(project.root, root, "tmp")
    (root / "tmp").mkdir()
    (root / ".env").write_text(f"JUDGE_KEY={KEY}\n", encoding="utf-8")
    with Endpoint(judge) as endpoint:
        study = yaml.safe_load((root / MINI).read_text(encoding="utf-8"))
        study["endpoints"] = {
            "arbiter": {"base_url": endpoint.url, "model": "arbiter", "key_variable": "JUDGE_KEY"}
        }
        study["judging"] = {"primary": "arbiter", "second": "embedding", "max_unscored": 0.5}
        (root / STUDY).write_text(yaml.safe_dump(study), encoding="utf-8")
        yield Remote(Project(root), endpoint)


@contextmanager
def model_server(root: Path) -> Iterator[str]:
    """The model behind a port, as the project's own server offers it; yields the address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    spec = EngineSpec(model=MODEL).model_dump_json()
    command = [
        sys.executable,
        "-m",
        "personae.inference.server",
        "--spec",
        spec,
        "--port",
        str(port),
    ]
    token = {"PERSONAE_SERVER_TOKEN": KEY}
    environment = {**os.environ, "PYTHONPATH": str(root / "scripts"), **token}
    process = subprocess.Popen(command, cwd=root, env=environment, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                headers = {"authorization": f"Bearer {KEY}"}
                if httpx.get(f"http://127.0.0.1:{port}/v1/models", headers=headers).is_success:
                    break
            except httpx.TransportError:
                pass
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "no server"
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_budget_stops_the_study_cleanly_and_what_was_answered_is_kept(remote: Remote) -> None:
    remote.change(lambda study: study["judging"].update(max_requests=40))
    stopped = remote.run("--", AGREEMENT)
    said = stopped.stdout + stopped.stderr
    assert stopped.returncode != 0
    assert "the budget is used up (max_requests = 40" in said
    assert remote.endpoint.asked.total() == remote.endpoint.answered.total() == 40
    remote.change(lambda study: study["judging"].pop("max_requests"))


def test_a_judging_node_that_is_killed_asks_nothing_twice(remote: Remote) -> None:
    command, environment = remote.command("--", AGREEMENT)
    before = remote.endpoint.asked.copy()
    running = subprocess.Popen(
        command,
        cwd=remote.project.root,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_for(lambda: (remote.endpoint.asked - before).total() > 100)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    remote.done("--unlock")
    remote.done("--rerun-incomplete", "--", AGREEMENT)
    asked = remote.endpoint.asked - before
    # A reply without a verdict is asked for again by every run.
    again = {prompt: n for prompt, n in asked.items() if n > 1 and digest(prompt) % SPOILED}
    # Only what was on the way at that moment; eight are asked at a time.
    assert sum(again.values()) - len(again) <= 8


@pytest.mark.full_size
def test_another_judge_generates_nothing_and_decides_what_is_kept(remote: Remote) -> None:
    plan = remote.done("--dry-run")
    planned = counts(parse_jobs(plan))
    assert planned["judge_role_responses"] == 3
    assert not {"generate_role_responses", "extract_role_activations"} & set(planned)
    remote.done()
    scores = tables.read(remote.project.root / SCORES, "scores").to_pandas()
    assert set(scores.judge) == {"arbiter", "embedding"}
    own = scores[scores.judge == "arbiter"]
    assert own.primary.all()
    assert set(own["mode"]) == {"text"}
    assert own[own.score.isna()].reason.notna().all()
    assert own.score.dropna().isin([0, 1, 2, 3]).all()
    everything = [
        tables.read(path, "scores").to_pandas()
        for path in remote.project.path("").rglob("scores.parquet")
    ]
    unscored = [table[table.raw == UNUSABLE] for table in everything]
    assert sum(map(len, unscored)) > 0
    assert all(table.score.isna().all() for table in unscored)
    assert all((table.reason == "parse_failure").all() for table in unscored)
    page = (remote.project.root / "results/mini/report.html").read_text(encoding="utf-8")
    assert "arbiter" in page
    assert "parse failure" in page


def test_scores_that_are_lost_are_made_again_from_kept_answers(remote: Remote) -> None:
    remote.done("--", SCORES)
    before = remote.endpoint.asked.total()
    path = remote.project.root / SCORES
    kept = tables.read(path, "scores")
    path.unlink()
    remote.done("--", SCORES)
    again = tables.read(path, "scores")
    exact = [name for name in kept.column_names if name not in ("score", "raw", "parts")]
    assert again.select(exact).equals(kept.select(exact))
    # The embedder may have had other texts in a batch: its last bits differ.
    pd.testing.assert_series_equal(again["score"].to_pandas(), kept["score"].to_pandas(), rtol=1e-5)
    of_answers = [judge == "arbiter" for judge in kept["judge"].to_pylist()]
    assert again.filter(of_answers).equals(kept.filter(of_answers))
    assert remote.endpoint.asked.total() == before


def test_responses_of_an_endpoint_are_the_model_servers_own(remote: Remote) -> None:
    path = remote.project.root / RESPONSES
    local = tables.read(path, "role_responses").to_pandas()
    with model_server(remote.project.root) as url:
        headers = {"authorization": f"Bearer {KEY}"}
        name = httpx.get(f"{url}/models", headers=headers).json()["data"][0]["id"]

        def assign(study: dict[str, Any], model: str) -> None:
            study["endpoints"]["served"] = {
                "base_url": url, "model": model, "key_variable": "JUDGE_KEY",
            }  # fmt: skip
            study["assignments"] = {"generators": {"smollm2_135m": "served"}}

        remote.change(lambda study: assign(study, "smollm3"))
        refused = remote.run("--", RESPONSES)
        assert f"endpoints.served: {url} refuses model 'smollm3'" in refused.stdout + refused.stderr
        remote.change(lambda study: assign(study, name))
        remote.done("--", RESPONSES)
    served = tables.read(path, "role_responses").to_pandas()
    assert set(local.ids_from) == {"generation"}
    assert set(served.ids_from) == {"rendering"}
    assert list(served.response_id) == list(local.response_id)
    assert list(map(list, served.prompt_ids)) == list(map(list, local.prompt_ids))
    assert served.response.str.strip().ne("").any()


def test_the_key_is_nowhere_but_in_its_file(remote: Remote) -> None:
    assert {h["authorization"] for h in remote.endpoint.headers} == {f"Bearer {KEY}"}
    holding = [
        path.relative_to(remote.project.root)
        for path in remote.project.root.rglob("*")
        if path.is_file() and KEY.encode() in path.read_bytes()
    ]
    assert holding == [Path(".env")]
