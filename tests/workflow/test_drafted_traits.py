"""A trait that a study only describes: drafted by an endpoint, read by a person, then used."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from personae.base.strict_yaml import read_yaml
from tests.unit.endpoints.misbehaving import Endpoint, Reply, completion

from .conftest import MINI, ROOT, Project, copy_project, counts, parse_jobs

ABOUT = "The assistant expects things to turn out well."
STUDY = "drafted.yaml"
TRAIT = read_yaml(ROOT / "config/traits/optimistic.yaml")


def reply(body: dict[str, Any], _before: int) -> Reply:
    """Draft the shipped trait; the first attempt at ``sunny`` has no rubric."""
    item = {key: value for key, value in TRAIT.items() if key != "description"}
    item["questions"] = [*TRAIT["questions"]["extraction"], *TRAIT["questions"]["evaluation"]]
    if len(body["messages"]) == 2:
        del item["rubric"]
    return completion(json.dumps(item))


def said(done: subprocess.CompletedProcess[str]) -> str:
    """Return both streams: a dry run writes to the other one."""
    return done.stdout + done.stderr


@dataclass
class Desk:
    """A project whose study describes a trait, and the endpoint that drafts it."""

    project: Project
    endpoint: Endpoint

    @property
    def file(self) -> Path:
        """Return the file of the trait."""
        return self.project.root / "config/traits/sunny.yaml"

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake on the study."""
        return self.project.run("--cores", "1", "--configfile", STUDY, *arguments)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A project without the trait whose text the endpoint gives."""
    project = copy_project(tmp_path_factory.mktemp("drafted") / "project")
    (project.root / "config/traits/optimistic.yaml").unlink()
    (project.root / ".env").write_text("WRITER_KEY=planted-key-81\n", encoding="utf-8")
    with Endpoint(reply) as endpoint:
        study = yaml.safe_load((project.root / MINI).read_text(encoding="utf-8"))
        study["traits"] |= {"names": ["poetic", "sunny"], "described": {"sunny": ABOUT}}
        study["endpoints"] = {
            "scribe": {"base_url": endpoint.url, "model": "scribe", "key_variable": "WRITER_KEY"}
        }
        study["assignments"] = {"artifact_writer": "scribe"}
        (project.root / STUDY).write_text(yaml.safe_dump(study), encoding="utf-8")
        yield Desk(project, endpoint)


def test_a_described_trait_is_drafted_alone_and_used_by_the_next_run(desk: Desk) -> None:
    early = desk.run("-n", "results/mini/smollm2_135m/axis/directions.parquet")
    assert early.returncode != 0
    assert "comes after the drafts of sunny; run without targets first" in said(early)
    for targets in ((), ("axis",)):
        planned = desk.run("-n", *targets)
        assert counts(parse_jobs(said(planned)))["draft_trait"] == 1
        assert "1 trait described, without a file in config/traits" in said(planned)
    assert not desk.endpoint.asked

    done = desk.run()
    assert done.returncode == 0, said(done)[-3000:]
    assert "1 trait drafted: read config/traits/sunny.yaml" in said(done)
    assert not list(desk.project.root.glob("results/mini/**/*.parquet")), "nothing else is made"
    drafted = read_yaml(desk.file)
    assert drafted["description"] == ABOUT
    assert drafted["rubric"] == TRAIT["rubric"], "the first reply lacked it and was sent back"

    again = desk.run("-n")
    jobs = parse_jobs(said(again))
    assert "draft_trait" not in counts(jobs)
    assert {job.wildcards.get("trait") for job in jobs} >= {"poetic", "sunny"}


def test_an_edited_file_is_neither_drafted_again_nor_removed(desk: Desk) -> None:
    desk.file.write_text(desk.file.read_text().replace("optimistic", "sunny"), encoding="utf-8")
    edited = desk.file.read_text()
    planned = desk.run("-n", "--forceall")
    assert planned.returncode == 0, planned.stderr[-2000:]
    assert "draft_trait" not in counts(parse_jobs(said(planned)))
    assert desk.file.read_text() == edited


def test_a_trait_that_nobody_can_draft_is_one_line(desk: Desk) -> None:
    path = desk.project.root / STUDY
    study = yaml.safe_load(path.read_text(encoding="utf-8"))
    study["assignments"] = {}
    study["traits"]["described"] = {"gloomy": "The assistant expects the worst."}
    study["traits"]["names"] = ["poetic"]
    other = desk.project.root / "nobody.yaml"
    other.write_text(yaml.safe_dump(study), encoding="utf-8")
    done = desk.project.run("--cores", "1", "--configfile", "nobody.yaml", "-n")
    assert done.returncode != 0
    line = "traits.described.gloomy: has no file in config/traits; name an endpoint in"
    assert line in said(done)
