"""The pictures of the documentation."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from personae.base.errors import PersonaeError
from personae.tools.docs_pictures import draw_persona_space, draw_rule_graph

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz is not installed")
def test_the_graph_of_rules_becomes_a_picture(tmp_path: Path) -> None:
    draw_rule_graph("digraph {a -> b}", tmp_path / "graph.png")
    assert (tmp_path / "graph.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(PersonaeError, match="dot: "):
        draw_rule_graph("no graph", tmp_path / "other.png")
    assert not (tmp_path / "other.png").exists()


def test_without_graphviz_one_line_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PersonaeError, match="apt-get install graphviz"):
        draw_rule_graph("digraph {a -> b}", tmp_path / "graph.png")


def test_a_study_that_has_not_run_is_named(tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    text = (ROOT / "config/demo.yaml").read_text("utf-8")
    study.write_text(text.replace("study: demo", "study: never_run", 1), "utf-8")
    with pytest.raises(PersonaeError, match=r"never_run.*run the study"):
        draw_persona_space(study, ROOT, tmp_path / "space.png")
