"""A whole study with vLLM as the engine, where it is installed."""

from __future__ import annotations

import subprocess

import pytest

from personae.data import tables
from personae.inference.vllm_engine.vllm_loading import vllm_version

from .conftest import MINI, copy_project

pytestmark = pytest.mark.skipif(
    vllm_version() is None,
    reason="vLLM is not installed here; `make env ENGINE=vllm` makes an environment that has it",
)

OVER = ".test/config/vllm.yaml"


@pytest.mark.timeout(1600)
def test_a_study_runs_to_its_end_on_vllm_and_every_table_says_so(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    made = copy_project(tmp_path_factory.mktemp("vllm"))
    command, environment = made.command(
        *("--profile", "local", "--cores", "2", "--configfile", MINI, OVER)
    )
    done = subprocess.run(
        command, cwd=made.root, env=environment, capture_output=True, text=True, timeout=1500
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    results = made.root / "results" / "vllm"
    assert (results / "report.html").is_file()
    engines = {
        str(path.relative_to(results)): facts["engine"]
        for path in results.rglob("*.parquet")
        if "engine" in (facts := tables.provenance(path))
    }
    assert set(engines.values()) == {f"vllm {vllm_version()}"}
    assert len(engines) > 20, sorted(engines)
