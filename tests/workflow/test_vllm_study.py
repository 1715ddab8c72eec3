"""The whole mini study with vLLM as the engine, where it is installed."""

from __future__ import annotations

import json
import subprocess

import pytest

from personae.data import tables
from personae.inference.vllm_engine.vllm_loading import vllm_version

from .conftest import MINI, copy_project

pytestmark = pytest.mark.skipif(
    vllm_version() is None,
    reason="vLLM is not installed here; `make env ENGINE=vllm` makes an environment that has it",
)


@pytest.mark.timeout(1600)
def test_the_mini_study_runs_on_vllm_and_every_table_says_so(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    made = copy_project(tmp_path_factory.mktemp("vllm"))
    engine = json.dumps({"kind": "vllm", "dtype": "float32", "device": "cpu"})
    command, environment = made.command(
        *("--cores", "2", "--configfile", MINI, "--profile", "local"),
        *("--config", f"engine={engine}"),
    )
    done = subprocess.run(
        command, cwd=made.root, env=environment, capture_output=True, text=True, timeout=1500
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert made.path("report.html").is_file()
    found = [
        facts["engine"]
        for path in made.path(".").rglob("*.parquet")
        if "engine" in (facts := tables.provenance(path))
    ]
    assert len(found) > 20
    assert set(found) == {f"vllm {vllm_version()}"}
