"""Files that no program should choke on: each is refused by one line, in no time."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from personae.base.strict_yaml import YamlError, read_yaml, restore_types
from personae.data.model_table import RegistryError, read_models
from personae.workflow.config import ConfigError, load_config, load_study, shortfalls
from personae.workflow.requested_targets import target_problems
from personae.workflow.study_files import study_file_problem
from tests.unit.conftest import ROOT, Problems

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)


@pytest.fixture(autouse=True)
def in_no_time() -> Iterator[None]:
    started = time.process_time()
    yield
    assert time.process_time() - started < 20


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (BOMB, "aliases repeat more than a million values"),
        ("a: &a [*a]", ":1: an alias refers to a collection that contains it"),
        ("a: &a {b: {c: *a}}", "an alias refers to a collection that contains it"),
        ("[" * 1_000_000, "nested more than 64 levels deep"),
        ("a:\n" + "".join("  " * i + "a:\n" for i in range(1, 400)), ":65: nested more than 64"),
        ("- " * 500 + "x", "nested more than 64 levels deep"),
        ("seed: " + "9" * 5000, ":1: '9999"),
        ("when: 2024-02-30", "cannot be read (day is out of range"),
        ("study: demo\nmodels: [a]\n  seed: 1", ":3: "),
        ("\ud800".encode("utf-8", "surrogatepass"), "not UTF-8 at byte 0"),
        ("study: demö\n".encode("latin-1"), "not UTF-8 at byte 10"),
        ("study: demo\n".encode("utf-16"), "not UTF-8 at byte 0"),
        ("study: a\x00b", "not YAML"),
    ],
)
def test_yaml_that_is_refused(tmp_path: Path, content: str | bytes, words: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(YamlError) as caught:
        read_yaml(path, "study.yaml")
    (line,) = str(caught.value).splitlines()
    assert line.startswith("study.yaml")
    assert words in line
    assert len(line) < 300


def test_aliases_that_repeat_little_are_read(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text("a: &s {t: 1}\nb: *s\nc: {<<: *s, u: 2}\n", encoding="utf-8")
    assert read_yaml(path) == {"a": {"t": 1}, "b": {"t": 1}, "c": {"t": 1, "u": 2}}


def makes_folder(path: Path) -> None:
    path.mkdir()


def makes_loop(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (makes_folder, "is a folder"),
        (makes_loop, "cannot be read"),
        (os.mkfifo, "not a regular file"),
    ],
)
def test_what_is_no_file_is_named(
    project: Path, make: Callable[[Path], None], words: str, demo: dict[str, Any]
) -> None:
    make(project / "config/traits/odd.yaml")
    with pytest.raises(ConfigError) as caught:
        load_study(demo, project)
    (line,) = str(caught.value).splitlines()
    assert line.startswith("config/traits/odd.yaml: ")
    assert words in line


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"SmolLM2\t", b'"SmolLM2\t', ":7: unexpected end of data"),
        (b"SmolLM2\t", b"Smol\xffLM2\t", ":7: not UTF-8 at byte 17 of the line"),
        (b"\t0\t4\t", b"\t0\tinf\t", ":7: mem_gb: must be less than"),
        (b"smollm2_135m\t", b"s" * 300 + b"\t", "name: 'ssssss"),
        (b"\thidden_size\t", b"\tn_layers\t", "names a column twice"),
    ],
)
def test_a_broken_table_is_one_line(project: Path, old: bytes, new: bytes, words: str) -> None:
    path = project / "config/models.tsv"
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    with pytest.raises(RegistryError) as caught:
        read_models(path, "config/models.tsv")
    line = str(caught.value).splitlines()[0]
    assert line.startswith("config/models.tsv:")
    assert words in line


@pytest.mark.parametrize(
    ("section", "value", "words"),
    [
        ("layer_sweep", {"layers": [10, 10]}, "10 is listed twice"),
        ("layer_sweep", {"coefficients": [2.0, 2.0]}, "2.0 is listed twice"),
        ("layer_sweep", {"coefficients": [float("inf")]}, "finite"),
        ("capping", {"bands": [[20, 24], [20, 24]]}, "[20, 24] is listed twice"),
        ("capping", {"percentiles": [25, 25]}, "25 is listed twice"),
        ("capping", {"pools": ["roles", "roles"]}, "'roles' is listed twice"),
        ("monitoring", {"shots": [4, 4]}, "4 is listed twice"),
        ("axis", {"bootstrap": 10**9}, "less than or equal to 100000"),
        ("roles", {"sampling": {"max_new_tokens": 10**30}}, "not a number of 100 bits"),
        ("roles", {"samples": 10**9}, "less than or equal to 10000"),
        ("study", "models", "results/models"),
        ("study", "s" * 300, "300 characters; give 80 at most"),
        ("engine", {"start_timeout": float("inf")}, "less than or equal"),
        ("seed", 2**63, "less than"),
        ("roles", {"names": ["x\ny" * 20]}, "is not a name"),
        ("roles", {"names": ["x\ny" * 400]}, "has 1200 characters"),
        ("x" * 900, 1, "unknown key"),
        ("a\nb", 1, "unknown key 'a\\nb'"),
    ],
)
def test_an_absurd_value_is_one_short_line(
    problems: Problems, demo: dict[str, Any], section: str, value: Any, words: str
) -> None:
    old = demo.get(section)
    demo[section] = {**old, **value} if isinstance(old, dict) else value
    (line,) = problems(demo)
    assert words in line
    assert len(line) < 400


def test_a_broken_value_of_the_command_line_is_one_line() -> None:
    with pytest.raises(YamlError, match="--config: '\\[1' is not YAML"):
        restore_types({"seed": "[1"}, {"seed": "[1"})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--configfile", "broken.yaml", "-n"], "broken.yaml:2: "),
        (["-n", "--configfile=gone.yaml"], "gone.yaml: no such file"),
        (
            ["--configfile", "good.yaml", "axis", "-n"],
            "axis: no such study file; --configfile takes",
        ),
        (["--configfiles", "list.yaml"], "list.yaml: must map keys to values"),
        ([], "config/demo.yaml: no such file"),
    ],
)
def test_study_files_are_read_before_snakemake_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.yaml").write_text("a: 1\n b: 2\n", encoding="utf-8")
    (tmp_path / "list.yaml").write_text("- a\n", encoding="utf-8")
    (tmp_path / "good.yaml").write_text("a: 1\n", encoding="utf-8")
    assert words in (study_file_problem(arguments) or "")
    assert study_file_problem(["--cores", "2", "--configfile", "good.yaml"]) is None


def test_a_mistyped_target_gets_the_nearest_name() -> None:
    files = [
        "results/s/m/roles/pirate/responses.parquet",
        "results/s/m/roles/cat/responses.parquet",
    ]
    made = {f"results/s/m/roles/{role}/vectors.parquet" for role in ("pirate", "cat")}

    def said(target: str) -> list[str]:
        return target_problems([target], ["axis", "roles"], made.__contains__, lambda: files)

    assert said("axis") == said(min(made)) == said(__file__) == []
    assert "did you mean 'axis'?" in said("axi")[0]
    (line,) = said("results/s/m/roles/pirat/vectors.parquet")
    assert "did you mean 'results/s/m/roles/pirate/vectors.parquet'?" in line


def thin_role(project: Path) -> None:
    path = project / "config/roles/sea.yaml"
    prompts = "".join(f'\n    - "You are cook number {i}."' for i in range(3))
    path.write_text(
        f"sea_cook:\n  description: A cook.\n  rubric: Is it a cook?\n  prompts:{prompts}\n",
        encoding="utf-8",
    )


def thin_trait(project: Path, evaluation: int) -> None:
    lines = [f'    - "Question {i} about fish?"' for i in range(2 + evaluation)]
    path = project / "config/traits/briny.yaml"
    path.write_text(
        "name: briny\ndescription: Salty.\nrubric: How salty is it?\npairs:\n"
        "  - {positive: Be salty., negative: Be sweet.}\n"
        "  - {positive: Taste of sea., negative: Taste of cake.}\nquestions:\n  extraction:\n"
        + "\n".join(lines[:2])
        + "\n  evaluation:\n"
        + "\n".join(lines[2:])
        + "\n",
        encoding="utf-8",
    )


def test_personas_with_less_are_used_counted_and_shown(project: Path) -> None:
    from personae.workflow import node_params

    thin_role(project)
    thin_trait(project, evaluation=3)
    for name in ("paper", "small"):
        config = read_yaml(ROOT / "config" / f"{name}.yaml")
        config["roles"].pop("count", None)
        config["traits"]["names"] = ["briny", "poetic"]
        if "finetuning" in config:
            config["finetuning"]["traits"] = ["poetic"]
        study = load_study(config, project)
        said = shortfalls(study)
        assert (
            "roles.prompts: 5 asked for; 1 has less and is used with what is there: sea_cook 3"
            in said
        )
        assert any(line.startswith("traits.pairs: 5 asked for; 1 has less") for line in said)
        model = study.model_names[0]
        assert len(node_params.role_rollouts(study, model, "sea_cook")["prompts"]) == 3
        swept = node_params.layer_sweep(study, model, "briny")["questions"]
        steered = node_params.steering(study, "briny")["questions"]
        assert len(swept) == 1
        assert len(steered) == 2
        assert not {text for _, text in swept} & {text for _, text in steered}


def test_a_trait_that_no_question_is_left_to_steer_is_refused(
    project: Path, problems: Problems, demo: dict[str, Any]
) -> None:
    thin_trait(project, evaluation=1)
    demo["traits"]["names"] = ["briny", "poetic"]
    demo["finetuning"]["traits"] = ["poetic"]
    (line,) = problems(demo, project)
    assert "briny has 1 evaluation question; give it 2 at least" in line


def test_an_answer_that_is_labelled_twice_is_refused(
    project: Path, problems: Problems, demo: dict[str, Any]
) -> None:
    path = project / "config/judging/labelled/coherence.yaml"
    content = path.read_text(encoding="utf-8")
    path.write_text(content * 2, encoding="utf-8")
    (line,) = problems(demo, project)
    first_again = len(read_yaml(ROOT / "config/judging/labelled/coherence.yaml"))
    assert f"coherence.yaml: [{first_again}] is labelled already, in [0]" in line


def test_a_study_that_was_never_read_is_named_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.yaml: no such file"):
        load_config(tmp_path / "gone.yaml")
