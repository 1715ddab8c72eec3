"""Studies that extend another one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from personae.base.strict_yaml import YamlError, read_yaml
from personae.workflow.config import ConfigError, extend_in_place, load_config, load_study
from personae.workflow.provenance import config_digest
from tests.unit.conftest import ROOT

OWN = {"extends": "config/demo.yaml", "study": "mine", "roles": {"names": ["poet", "cat"]}}


def write(folder: Path, name: str, content: Any) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content), "utf-8")
    return path


def test_sections_are_merged_and_lists_replaced(demo: dict[str, Any]) -> None:
    study = load_study(OWN, ROOT)
    assert study.role_names == ["poet", "cat"]
    written_out = {**demo, "study": "mine", "roles": {**demo["roles"], "names": ["poet", "cat"]}}
    assert study.config == load_config(written_out)
    assert study.config.roles.sampling.max_new_tokens == 32


def test_null_switches_an_arm_of_the_extended_study_off() -> None:
    assert load_study(OWN, ROOT).config.harm is not None
    assert load_study({**OWN, "harm": None}, ROOT).config.harm is None


def test_nodes_see_the_same_mapping_as_if_it_were_written_out(
    tmp_path: Path, demo: dict[str, Any]
) -> None:
    write(tmp_path, "config/demo.yaml", demo)
    source = write(tmp_path, "mine.yaml", OWN)
    config = read_yaml(source)
    # Snakemake has merged --config into it by then.
    config["seed"] = 5
    extend_in_place(config, tmp_path, [source])
    roles = {**demo["roles"], "names": ["poet", "cat"]}
    assert config_digest(config) == config_digest(
        {**demo, "study": "mine", "roles": roles, "seed": 5}
    )


def test_a_study_on_the_command_line_is_extended_too(demo: dict[str, Any]) -> None:
    config = {"extends": "config/demo.yaml", "study": "mine"}
    extend_in_place(config, ROOT, [])
    assert config == {**demo, "study": "mine"}


def test_a_chain_with_relative_paths_is_followed(tmp_path: Path) -> None:
    write(tmp_path, "config/first.yaml", {"study": "first", "models": ["a"], "seed": 1})
    write(tmp_path, "mine/second.yaml", {"extends": "config/first.yaml", "study": "b", "seed": 2})
    last = write(tmp_path, "mine/third.yaml", {"extends": "./second.yaml", "study": "third"})
    config = load_config(last, base=tmp_path)
    assert (config.study, config.models, config.seed) == ("third", ["a"], 2)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"extends": "mine.yaml", "study": "x"}, "mine.yaml -> mine.yaml is a circle"),
        ({"extends": "./back.yaml", "study": "x"}, "back.yaml -> mine.yaml is a circle"),
        ({"extends": "nowhere.yaml", "study": "x"}, "nowhere.yaml: no such file"),
        ({"extends": "list.yaml", "study": "x"}, "list.yaml is no study"),
        ({"extends": ["a.yaml"], "study": "x"}, "['a.yaml'] is not a path"),
        ({"extends": "config/demo.yaml"}, "study: missing"),
    ],
)  # fmt: skip
def test_what_cannot_be_extended_is_one_line(
    tmp_path: Path, demo: dict[str, Any], content: dict[str, Any], said: str
) -> None:
    write(tmp_path, "config/demo.yaml", demo)
    write(tmp_path, "list.yaml", [1])
    write(tmp_path, "back.yaml", {"extends": "mine.yaml", "study": "back"})
    path = write(tmp_path, "mine.yaml", content)
    with pytest.raises(ConfigError) as raised:
        load_study(content, tmp_path, ["mine.yaml"])
    (line,) = raised.value.problems
    assert line.startswith("mine.yaml") or "back.yaml" in line
    assert said in line
    with pytest.raises(YamlError, match=r"extends|study"):
        extend_in_place({"extends": None, **content}, tmp_path, [path])


def test_messages_name_both_files() -> None:
    wrong = {**OWN, "layer_sweep": {"layers": [6, 31]}}
    with pytest.raises(ConfigError) as raised:
        load_study(wrong, ROOT)
    (line,) = raised.value.problems
    assert line.startswith("config (extends config/demo.yaml): layer_sweep.layers[1]: 31")
