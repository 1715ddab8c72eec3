"""A new stage is its rule, its script, its science and one entry in the registry."""

from __future__ import annotations

import re
import subprocess
import sys
from ast import literal_eval

import pytest

from .conftest import Project, copy_project, counts, parse_jobs

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
        single("cosines", scorecard="axis_turns", arm_target=True),
        {"directions": "directions"},
        group="turns",
    ),
)

PERSONA_STAGES"""


DIRECTIONS = "results/mini/smollm2_135m/axis/directions.parquet"
TURNS = "results/mini/smollm2_135m/axis/turns.parquet"
# The axis turns by 0, then by 60 degrees.
PLANT = f"""
import numpy as np
import pyarrow as pa
from personae.data import tables
from personae.workflow.provenance import collect
vectors = np.array([[2, 0, 0, 0], [5, 0, 0, 0], [1, 3**0.5, 0, 0]], np.float32)
columns = dict(direction=["axis"] * 3, layer=pa.array([0, 1, 2], pa.int16()),
    norm=[1.0] * 3, residual_norm=[1.0] * 3, n_roles=pa.array([3] * 3, pa.int32()),
    n_default=pa.array([3] * 3, pa.int32()), integrity=[1.0] * 3,
    vector=tables.from_matrix(vectors))
table = tables.assemble([pa.table(columns)], "directions")
facts = collect(config=dict(), code="", rule="compute_axis", wildcards=dict(),
    outputs=[{DIRECTIONS!r}])
tables.write(table, {DIRECTIONS!r}, "directions", facts)
"""


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the project with a new stage, and a planted axis that it can read."""
    made = copy_project(tmp_path_factory.mktemp("extended"))
    root = made.root
    scripts = root / "scripts"
    (scripts / "personae/science/axis_turns.py").write_text(SCIENCE, "utf-8")
    (scripts / "axis/measure_axis_turns.py").write_text(SCRIPT, "utf-8")
    with (root / "rules/axis.smk").open("a", encoding="utf-8") as rules:
        rules.write(RULE)
    registry = scripts / "personae/workflow/stages/persona_stages.py"
    before, after = registry.read_text("utf-8").split(")\n\nPERSONA_STAGES")
    registry.write_text(before + ENTRY + after, "utf-8")
    python(made, PLANT)
    return made


def python(project: Project, code: str) -> str:
    """Run code in the copy and return what it prints."""
    _, environment = project.command()
    environment.pop("PERSONAE_SLURM_TABLE_GROUP", None)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project.root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_planned_with_its_arm_and_with_the_study_and_the_scorecard_reads_it(
    extended: Project,
) -> None:
    arm, study = counts(extended.planned("axis")), extended.snakemake("--dry-run")
    assert arm["measure_axis_turns"] == 1
    said = study.stdout + study.stderr
    assert counts(parse_jobs(said))["measure_axis_turns"] == 1
    (scorecard,) = re.findall(r"rule build_scorecard:\n +input: (.*)", said)
    assert TURNS in scorecard


def test_it_runs(extended: Project) -> None:
    # The planted axis has no responses behind it, so no other rule may be considered.
    done = extended.snakemake("--allowed-rules", "measure_axis_turns", "--", TURNS)
    assert done.returncode == 0, done.stdout + done.stderr
    found = python(
        extended,
        "from personae.data import tables\n"
        f"print(tables.read({TURNS!r}, 'cosines')['cosine'].to_pylist())\n",
    )
    assert literal_eval(found) == pytest.approx([1.0, 1.0, 0.5])


def test_timings_and_batch_groups_know_it(extended: Project) -> None:
    code = (
        "from pathlib import Path\n"
        "from personae.report.node_timings import collect_timings\n"
        "from personae.workflow.cluster.site_settings import group_components\n"
        "folder = Path('results/mini/smollm2_135m/benchmarks')\n"
        "folder.mkdir(parents=True, exist_ok=True)\n"
        "(folder / 'measure_axis_turns.tsv').write_text('s\\tmax_rss\\n1.0\\t2.0\\n')\n"
        "(timing,) = collect_timings([folder])\n"
        "print([timing.arm, timing.title, group_components()['turns_{model}']])\n"
    )
    assert literal_eval(python(extended, code)) == ["Axis", "Measure how the axis turns", 10]
