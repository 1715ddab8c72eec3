"""Scripts are thin, importable, free of torch, and named like their rules."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
FILES = {
    path.stem: path
    for path in sorted((ROOT / "scripts").glob("*/*.py"))
    if "personae" not in path.parent.name
}
SCRIPTS = list(FILES)


def rules() -> dict[str, str]:
    """Return rule name to the text of the rule, without those that only name targets."""
    found = {}
    for path in sorted((ROOT / "rules").glob("*.smk")):
        if path.name == "targets.smk":
            continue
        for part in re.split(r"(?m)^(?=rule )", path.read_text(encoding="utf-8")):
            if name := re.match(r"rule (\w+):", part):
                found[name.group(1)] = part
                assert f"../scripts/{path.stem}/" in part, "scripts lie in folders named as rules"
    return found


def test_rule_script_log_and_benchmark_share_one_name() -> None:
    assert set(rules()) == set(SCRIPTS)
    for name, text in rules().items():
        assert f"../scripts/{FILES[name].parent.name}/{name}.py" in text
        for kind in ("logs", "benchmarks"):
            paths = re.findall(rf'"([^"]*/{kind}/[^"]*)"', text)
            assert paths, f"{name} has no {kind}"
            assert all(f"/{kind}/{name}" in path for path in paths)


def test_rules_leave_threads_and_retries_to_profiles_and_hold_no_lambda() -> None:
    for name, text in rules().items():
        assert not re.search(r"^    (threads|retries):", text, re.MULTILINE), name
        assert "lambda" not in text, name


def test_rules_give_folders_of_the_library_from_the_working_directory() -> None:
    assert any("shipped(study.config.library.judging)" in text for text in rules().values())
    for name, text in rules().items():
        # A bare folder is absent under --directory; whole sections come with their base.
        assert not re.search(r"(?<!shipped\()study\.config\.library\.(?!model_dump)", text), name
        assert ("library.model_dump()" in text) == ('base=shipped(".")' in text), name


def test_no_node_imports_torch() -> None:
    code = (
        "import importlib, sys\n"
        f"for name in {[f'{path.parent.name}.{name}' for name, path in FILES.items()]!r}:\n"
        "    importlib.import_module(name)\n"
        "import personae.workflow.node, personae.inference.client\n"
        "import personae.workflow.node_params, personae.workflow.config\n"
        "heavy = {'torch', 'transformers'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT / "scripts",
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def test_scripts_are_short_and_touch_snakemake_in_their_last_block_alone() -> None:
    for name in SCRIPTS:
        text = FILES[name].read_text(encoding="utf-8")
        body, _, block = text.partition('if __name__ == "__main__":')
        assert block, name
        assert "snakemake." not in body, name
        assert len(text.splitlines()) <= 130, name
