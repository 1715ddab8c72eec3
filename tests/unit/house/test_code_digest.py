"""Edits that change digests of code, and edits that do not."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from personae.workflow import code_digest as digesting
from personae.workflow.code_digest import closure, code_digest

ROOT = Path(__file__).resolve().parents[3]
RULES = sorted(
    (match[1], match[2])
    for path in (ROOT / "rules").glob("*.smk")
    for match in re.finditer(
        r'(?ms)^rule (\w+):(?:(?!^rule ).)*?"\.\./scripts/(\w+/\w+)\.py"', path.read_text("utf-8")
    )
)
LOG_LINE = '\nimport logging\n\nLOG = logging.getLogger("personae")\n\n\ndef act():\n    pass\n'


def forget() -> None:
    """Empty the caches, which take the code to stay as it is while a process runs."""
    for function in (code_digest, closure, digesting._module):
        function.cache_clear()


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a copy of the scripts, which the digests are taken of."""
    root = tmp_path / "scripts"
    shutil.copytree(ROOT / "scripts", root, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(digesting, "SCRIPTS", root)
    forget()
    yield root
    forget()


def digests(*, same_imports: bool = False) -> dict[str, str]:
    """Return the digest of every rule's script as the code is now.

    Following the imports takes most of the time; where an edit changes none, they are kept.
    """
    if same_imports:
        code_digest.cache_clear()
        digesting._module.cache_clear()
    else:
        forget()
    return {rule: code_digest(script) for rule, script in RULES}


def edited(path: Path, change: Callable[[str], str]) -> set[str]:
    """Return the rules whose digest an edit changes; the edit is taken back."""
    before, text = digests(), path.read_text("utf-8")
    path.write_text(change(text), "utf-8")
    after = digests()
    path.write_text(text, "utf-8")
    return {rule for rule, _ in RULES if before[rule] != after[rule]}


def module(root: Path, name: str) -> Path:
    path = root.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def append(text: str) -> Callable[[str], str]:
    return lambda old: f"{old}\n{text}\n"


def docstring(old: str) -> str:
    return old.replace('"""', '"""Edited. ', 1)


def test_every_rule_digests_its_own_script() -> None:
    text = "".join(path.read_text("utf-8") for path in sorted((ROOT / "rules").glob("*.smk")))
    assert len(RULES) == len(re.findall(r"code_digest\(", text)) > 40
    for rule, script in RULES:
        assert script.endswith(f"/{rule}")
        assert f'code=code_digest("{script}")' in text


def test_a_changed_statement_in_a_module_changes_exactly_the_rules_that_reach_it(
    code: Path,
) -> None:
    reach: dict[str, set[str]] = {}
    for rule, script in RULES:
        for name in closure(script):
            reach.setdefault(name, set()).add(rule)
    assert len(reach) > 60
    before = digests()
    for name, rules in reach.items():
        path = module(code, name)
        text = path.read_text("utf-8")
        path.write_text(f"{text}\nADDED = 1\n", "utf-8")
        after = digests(same_imports=True)
        path.write_text(text, "utf-8")
        assert {rule for rule, _ in RULES if before[rule] != after[rule]} == rules, name


@pytest.mark.parametrize(
    ("name", "some"),
    [
        ("personae.data.vector_stacks", {"compute_axis", "steer_trait", "project_last_prompts"}),
        ("personae.data.data_frames", {"plot_steering", "plot_drift", "write_report"}),
        ("personae.inference.torch_engine.sampling", {"generate_role_responses", "steer_trait"}),
    ],
)
def test_what_lists_kept_by_hand_had_missed_is_reached(
    code: Path, name: str, some: set[str]
) -> None:
    assert some <= edited(module(code, name), append("ADDED = 1"))


def test_an_edited_figure_reruns_no_generation(code: Path) -> None:
    changed = edited(module(code, "personae.report.plots.style"), append("ADDED = 1"))
    assert changed
    assert all(rule.startswith(("plot_", "write_report")) for rule in changed)


@pytest.mark.parametrize(
    "change",
    [docstring, append("# A comment."), append('"""A note."""')],
    ids=["docstring", "comment", "string"],
)
def test_words_change_no_digest(code: Path, change: Callable[[str], str]) -> None:
    reached = {name for _, script in RULES for name in closure(script)}
    before, texts = digests(), {}
    for name in reached:
        path = module(code, name)
        texts[path] = path.read_text("utf-8")
        path.write_text(change(texts[path]), "utf-8")
    assert digests() == before


def test_log_lines_and_imports_for_type_checkers_change_no_digest(code: Path) -> None:
    path = module(code, "personae.science.projection")
    path.write_text(path.read_text("utf-8") + LOG_LINE, "utf-8")
    act = "def act():\n    pass\n"
    assert not edited(path, lambda old: old.replace(act, 'def act():\n    LOG.info("%d", 1)\n'))
    assert not edited(
        path, append("if TYPE_CHECKING:\n    from personae.report.plots.style import Illustration")
    )


@pytest.mark.parametrize("inert", digesting.INERT)
def test_what_changes_no_result_is_left_out(code: Path, inert: str) -> None:
    assert module(code, inert).is_file(), "the list names something that is not there"
    assert not edited(module(code, inert), append("ADDED = 1"))


def test_an_unknown_script_is_refused() -> None:
    with pytest.raises(ValueError, match="no script 'axis/none'"):
        code_digest("axis/none")


def test_digests_that_were_kept_are_those_that_are_computed(code: Path) -> None:
    (code.parent / ".snakemake").mkdir()
    digesting._kept.clear()
    before = digests()
    record = code.parent / ".snakemake" / "code_digests.json"
    assert record.is_file()
    assert digests() == before
    assert "compute_axis" in edited(module(code, "personae.science.vectors"), append("ADDED = 1"))
    record.write_text("{damaged", "utf-8")
    digesting._kept.clear()
    assert digests() == before


def test_an_edit_of_the_vllm_engine_reruns_only_studies_that_use_it(
    code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit = append("ADDED = 1")
    worker = module(code, "personae.inference.vllm_engine.step_state")
    monkeypatch.setattr(digesting, "find_spec", lambda _: None)
    try:
        for kind in ("torch", "auto"):
            digesting.cover_engine(kind)
            assert not edited(worker, edit)
        digesting.cover_engine("vllm")
        assert {"steer_trait", "generate_role_responses"} <= edited(worker, edit)
    finally:
        digesting.cover_engine("torch")
