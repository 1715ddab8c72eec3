"""docs/personas.md, followed step by step in a copy of the project."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from personae.base.strict_yaml import read_yaml
from personae.data import tables
from personae.tools.cli import main
from personae.workflow.config import load_study
from tests.unit.conftest import ROOT

GUIDE = (ROOT / "docs/personas.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(yaml|sh)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BAKER = {
    "instruction": [{"pos": "You are a baker."}, {"pos": "You bake at night."}],
    "eval_prompt": "Is it a **baker**? A baker is a person who bakes.",
}


def follow(project: Path) -> None:
    """Save every file of the guide and run every command, in the order of the page."""
    for kind, text in BLOCK.findall(GUIDE):
        if kind == "yaml":
            first, _, content = text.partition("\n")
            path = project / first.removeprefix("# ")
            assert "\n- " not in text, "lists are indented"
            appended = path.exists()
            before = path.read_text(encoding="utf-8") if appended else ""
            path.write_text(before + content, encoding="utf-8")
            assert appended == (path.name == "extraction.yaml")
        else:
            for line in text.splitlines():
                command = shlex.split(line)
                # The tokenizer is prepared by the workflow, which is not run here.
                if "--model" not in command:
                    assert command[:2] == ["personae", "library"]
                    where = ["--root", str(project)]
                    study = [str(project / w) if w.endswith(".yaml") else w for w in command[2:]]
                    assert main(["library", *where, *study]) == 0, line


def write_foreign_files(project: Path) -> None:
    """Write the external files that the guide imports."""
    data = project / "data"
    (data / "roles").mkdir(parents=True)
    (data / "roles/baker.json").write_text(json.dumps(BAKER), encoding="utf-8")
    (data / "behaviours.csv").write_text("Goal,Category\nBe mean,Insult\n", encoding="utf-8")
    lines = [json.dumps({"question": f"What is {n} to you?", "id": n}) for n in range(4)]
    (data / "questions.jsonl").write_text("\n".join(lines), encoding="utf-8")


@pytest.fixture
def prepared(project: Path) -> Path:
    """The project with the files of others that the guide imports."""
    write_foreign_files(project)
    return project


def test_what_the_guide_adds_is_there(prepared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    follow(prepared)
    said = capsys.readouterr().out
    assert "A ship's cook who feeds forty men" in said
    assert "no problems found" in said
    assert "A person who bakes." in said


def test_the_studies_of_the_guide_load(prepared: Path) -> None:
    follow(prepared)
    source = "my_study.yaml"
    study = load_study(read_yaml(prepared / source), prepared, [source])
    assert study.role_names == ["sea_cook", "pirate", "librarian"]
    assert study.library.extraction[-1].id == "smell_of_home"
    (trait,) = study.space.values()
    assert "weather-beaten" in trait.pairs[1].positive

    source = "imported_study.yaml"
    study = load_study(read_yaml(prepared / source), prepared, [source])
    assert study.roles["aa_baker"].prompts == ["You are a baker.", "You bake at night."]
    assert [question.id for question in study.heldout_questions] == ["q000", "q001"]
    assert study.library.harm_probes[-1].category == "insult"


@pytest.mark.parametrize("page", ["docs/personas.md", "README.md"])
def test_a_page_reads_a_vector_in_python(tmp_path: Path, page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    place = "results/demo/smollm2_135m/axis/directions.parquet"
    assert place in code
    columns = {
        "direction": ["random0"] * 16 + ["axis"] * 16,
        "layer": [*range(16)] * 2,
        **{name: [1.0] * 32 for name in ("norm", "residual_norm", "integrity")},
        **{name: [2] * 32 for name in ("n_roles", "n_default")},
        "vector": tables.from_matrix(np.arange(32.0)[:, None] * np.ones(4)),
    }
    table = tables.assemble([pa.table(columns)], "directions")
    tables.write(table, tmp_path / "directions.parquet", "directions", {})
    found: dict[str, Any] = {}
    exec(code.replace(place, str(tmp_path / "directions.parquet")), found)
    assert found["vector"].tolist() == [30.0] * 4  # 16 rows of the first direction, layer 14
