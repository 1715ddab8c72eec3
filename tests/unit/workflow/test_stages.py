"""The registry of stages says what rules and scripts do."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from personae.base.strict_yaml import read_yaml
from personae.data.schemas import SCHEMAS
from personae.data.table_values import DEFAULT
from personae.workflow.config import load_study
from personae.workflow.stages.persona_parts import parts, trait_parts
from personae.workflow.stages.registry import ARMS, STAGES, nodes, outputs, titles
from personae.workflow.stages.stage import Stage

ROOT = Path(__file__).resolve().parents[3]
RULES = {
    name: (path.stem, text)
    for path in sorted((ROOT / "rules").glob("*.smk"))
    if path.stem != "targets"
    for name, text in re.findall(r"(?ms)^rule (\w+):\n(.*?)(?=^rule |\Z)", path.read_text("utf-8"))
}
WILDCARDS = {
    "study": {"study"},
    "weights": {"model"},
    "model": {"study", "model"},
    "imported model": {"study", "model"},
    "role": {"study", "model", "role"},
    "played role": {"study", "model", "role"},
    "trait": {"study", "model", "trait"},
    "trait side": {"study", "model", "trait", "polarity"},
    "role part": {"study", "model", "part"},
    "trait part": {"study", "model", "part"},
    "adapter": {"study", "model", "adapter"},
    "trained trait": {"study", "model", "trait"},
    "corpus": {"study", "model", "corpus"},
    "drafted trait": {"drafted"},
    "autoencoder": {"study", "model", "autoencoder"},
}
KIND_AT = {"read": 1, "read_frame": 1, "write": 2}
"""Functions that take a kind of table, and at which position."""
NAMED = {"kind": "read", "writes": "write"}
"""Keyword arguments that are kinds of table."""


def kinds_in(stage: Stage) -> tuple[set[str], set[str]]:
    """Return the kinds of table that a script names itself on reading and on writing."""
    found: dict[str, set[str]] = {"read": set(), "write": set()}
    tree = ast.parse((ROOT / "scripts" / f"{stage.script}.py").read_bytes())
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        for word in call.keywords:
            if word.arg in NAMED and isinstance(word.value, ast.Constant):
                found[NAMED[word.arg]] |= {word.value.value} & set(SCHEMAS)
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        place = KIND_AT.get(name)
        if place is not None and len(call.args) > place:
            kind = call.args[place]
            if isinstance(kind, ast.Constant):
                found["write" if name == "write" else "read"].add(kind.value)
    return found["read"], found["write"]


def test_rules_and_stages_are_the_same() -> None:
    assert {name: arm for name, (arm, _) in RULES.items()} == {
        name: stage.arm for name, stage in STAGES.items()
    }
    assert {stage.arm for stage in STAGES.values()} == set(ARMS)
    assert next(iter(titles())) == "prepare_model"


@pytest.mark.parametrize("stage", STAGES.values(), ids=list(STAGES))
def test_a_rule_is_as_its_stage_says(stage: Stage) -> None:
    text = RULES[stage.rule][1]
    written = text.split("    output:", 1)[1].split("    log:")[0]
    assert set(re.findall(r"\{(\w+)\}", written.split("caption")[0])) == WILDCARDS[stage.per]
    named = {name for name in re.findall(r"(?m)^        (\w+)=", written)}
    assert named == set(stage.writes) - {""}
    assert (f'batch_group("{stage.rule}")' in text) == bool(stage.group)
    runs = re.search(
        r"import .*\brun_(model|judge|reading|training|local_model)_node", _script(stage)
    )
    assert stage.runs == (runs[1].replace("local_model", "training") if runs else "tables")
    if stage.per != "study":
        assert (stage.work is not None) == (stage.runs != "tables")
        assert ("**reading_resources," in text) == (stage.runs == "reading")
        asked = ("gres", "memory", "minutes", "partition") if runs else ()
        for resource in asked if stage.runs != "reading" else ():
            of = "model" if stage.runs == "training" else stage.runs
            assert f"={of}_{resource}," in text


@pytest.mark.parametrize("stage", STAGES.values(), ids=list(STAGES))
def test_a_script_reads_and_writes_the_kinds_of_its_stage(stage: Stage) -> None:
    read, written = kinds_in(stage)
    declared = set(stage.reads.values())
    assert read <= declared
    assert written <= {output.kind for output in stage.writes.values()}
    assert declared <= {output.kind for _, _, output in outputs()} & set(SCHEMAS)


def _script(stage: Stage) -> str:
    return (ROOT / "scripts" / f"{stage.script}.py").read_text("utf-8")


def test_nodes_are_those_of_the_study() -> None:
    study = load_study(read_yaml(ROOT / "config/paper.yaml"), ROOT)
    model = study.model_names[0]

    def count(rule: str, **options: bool) -> int:
        return len(list(nodes(STAGES[rule], study, model, **options)))

    roles, traits, space = (
        len(n) for n in (study.role_names, study.trait_names, study.space_names)
    )
    assert count("generate_role_responses") == roles + 1
    assert count("judge_role_responses") == roles
    assert count("steer_trait") == traits
    assert count("compute_trait_vectors") == traits
    assert count("compute_space_vectors") == len(trait_parts(study))
    assert count("compute_space_vectors") > space / 12
    assert count("judge_trait_responses") == 2 * (traits + space)
    assert count("import_published_vectors") == 0
    assert count("simulate_conversations") == 1
    demo = load_study(read_yaml(ROOT / "config/demo.yaml"), ROOT)
    assert list(nodes(STAGES["compare_trait_space"], demo, demo.model_names[0]))
    without = read_yaml(ROOT / "config/demo.yaml")
    without["drift"]["simulated"] = None
    without["trait_space"]["names"] = "none"
    plain = load_study(without, ROOT)
    assert not list(nodes(STAGES["simulate_conversations"], plain, plain.model_names[0]))
    assert not list(nodes(STAGES["compare_trait_space"], plain, plain.model_names[0]))
    model = demo.model_names[0]
    extracting = STAGES["extract_role_activations"]
    assert {"model": model, "role": DEFAULT} in list(nodes(extracting, demo, model))
    assert not study.keeps_activations
    assert not list(nodes(extracting, study, study.model_names[0]))


def test_every_persona_is_in_one_part_and_another_name_moves_no_other() -> None:
    names = [f"role_{index}" for index in range(50)]
    before = parts(names, 24)
    assert sorted(name for members in before.values() for name in members) == sorted(names)
    assert len(before) == 3
    assert max(map(len, before.values())) < 2 * 24
    after = parts([*names, "ghost"], 24)
    moved = [part for part in after if after[part] != before.get(part)]
    assert len(moved) == 1
    assert set(after[moved[0]]) - set(before[moved[0]]) == {"ghost"}
    assert parts([], 24) == {}
