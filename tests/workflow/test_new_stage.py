"""A new stage is its rule, its script, its science and one entry in the registry."""

from __future__ import annotations

import subprocess
import sys

import pytest

from .conftest import Project, copy_linked, counts

SCIENCE = '''"""How far the axis turns from layer to layer."""

import numpy as np


def turns(vectors: np.ndarray) -> np.ndarray:
    """Return the cosine of each layer's vector with the one before it; 1 for the first."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.concatenate([[1.0], (unit[1:] * unit[:-1]).sum(axis=1)])
'''
SCRIPT = '''"""Measure how far the axis turns from layer to layer. Columns: those of ``cosines``."""

from personae.data import tables
from personae.data.vector_columns import to_matrix
from personae.science.axis_turns import turns


def main(*, directions: str, path_out: str, provenance: dict[str, str]) -> None:
    """Write one row per layer."""
    found = tables.read(directions, "directions", filters=[("direction", "==", "axis")])
    layers, cosines = found["layer"].to_pylist(), turns(to_matrix(found["vector"]))
    rows = [
        {"layer": layer, "left": "axis", "right": "layer before", "cosine": float(cosine)}
        for layer, cosine in zip(layers, cosines, strict=True)
    ]
    tables.write(tables.from_rows(rows, "cosines"), path_out, "cosines", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake, main, directions=snakemake.input.directions, path_out=snakemake.output[0]
    )
'''
RULE = """

rule measure_axis_turns:
    input:
        directions="results/{study}/{model}/axis/directions.parquet",
    output:
        "results/{study}/{model}/axis/turns.parquet",
    log:
        "results/{study}/{model}/logs/measure_axis_turns.log",
    benchmark:
        "results/{study}/{model}/benchmarks/measure_axis_turns.tsv"
    group:
        batch_group("measure_axis_turns")
    conda:
        "../envs/personae.yaml"
    params:
        code=code_digest("axis/measure_axis_turns"),
    script:
        "../scripts/axis/measure_axis_turns.py"
"""
ENTRY = """    Stage(
        "measure_axis_turns",
        "axis",
        "Measure how the axis turns",
        "model",
        single("cosines", arm_target=True, study_target=True),
        {"directions": "directions"},
        group="turns",
    ),
)

PERSONA_STAGES"""


@pytest.fixture(scope="module")
def extended(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the finished mini study, in which a stage has been added."""
    root = tmp_path_factory.mktemp("extended") / "project"
    copy_linked(project.root, root)
    scripts = root / "scripts"
    (scripts / "personae/science/axis_turns.py").write_text(SCIENCE, "utf-8")
    (scripts / "axis/measure_axis_turns.py").write_text(SCRIPT, "utf-8")
    with (root / "rules/axis.smk").open("a", encoding="utf-8") as rules:
        rules.write(RULE)
    registry = scripts / "personae/workflow/stages/persona_stages.py"
    before, after = registry.read_text("utf-8").split(")\n\nPERSONA_STAGES")
    registry.write_text(before + ENTRY + after, "utf-8")
    return Project(root)


def test_a_new_stage_runs_with_its_arm_and_changes_no_other_node(extended: Project) -> None:
    assert set(counts(extended.planned())) == {"measure_axis_turns", "write_report"}
    done = extended.snakemake("axis")
    assert done.returncode == 0, done.stdout + done.stderr
    code = (
        "from personae.data import tables\n"
        f"found = tables.read({str(extended.path('axis/turns.parquet'))!r}, 'cosines')\n"
        "assert found['cosine'][0].as_py() == 1.0 and found.num_rows == 30, found\n"
        "assert all(abs(c) <= 1.0 + 1e-9 for c in found['cosine'].to_pylist())\n"
    )
    assert _python(extended, code) == ""


def test_the_report_and_the_batch_groups_know_it(extended: Project) -> None:
    done = extended.snakemake()
    assert done.returncode == 0, done.stdout + done.stderr
    page = (extended.root / "results/mini/report.html").read_text("utf-8")
    assert "Measure how the axis turns" in page
    said = _python(
        extended,
        "from personae.workflow.cluster.site_settings import group_components\n"
        "print(group_components()['turns_{model}'])\n",
    )
    assert said.strip() == "10"
    assert extended.planned() == []


def _python(project: Project, code: str) -> str:
    """Run code in the copy and return what it prints."""
    _, environment = project.command()
    environment.pop("PERSONAE_SLURM_TABLE_GROUP", None)
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=project.root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
