"""``personae judge forget``: refused or unclear responses are judged again, and no other ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from personae.data import tables
from personae.endpoints.runtime import Runtime
from personae.judging.chat_judge import ChatJudge
from personae.judging.judge_factory import Panel
from personae.judging.judge_types import JudgeItem, role_rubric
from personae.judging.rubrics import load_rubric_templates
from personae.judging.score_responses import judge_table
from personae.tools.cli import main
from tests.unit.endpoints.conftest import _fast_and_with_key, serve
from tests.unit.endpoints.misbehaving import Endpoint, Reply, completion, message

__all__ = ["_fast_and_with_key", "serve"]

TEMPLATES = load_rubric_templates("config/judging/rubrics", Path(__file__).resolve().parents[3])
TABLE = Path("results/mini/m/roles/pirate/scores.parquet")
REPLIES = {
    "fine": completion("VERDICT: 3"),
    "refused": message({"content": None, "refusal": "I will not."}),
    "unclear": completion("I would say 3."),
    "filtered": completion("", finish="content_filter"),
}
ITEMS = [JudgeItem(name, "Who are you?", f"Arr, {name}.") for name in REPLIES]


class Study:
    """A study in the working directory, whose score table a judge has made."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        settings = {"base_url": endpoint.url, "model": "m", "key_variable": None}
        config = {"study": "mini", "models": ["m"], "endpoints": {"remote": settings}}
        config["judging"] = {"primary": "remote", "max_unscored": 1.0}
        Path("study.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        self.config: dict[str, Any] = config

    def judged(self) -> list[str]:
        """Judge all responses again, as the node does; return those that it requested."""
        self.endpoint.asked.clear()
        judge = ChatJudge("remote", Runtime.of(self.config), TEMPLATES)
        table = judge_table(Panel(judge, max_unscored=1.0), [([role_rubric("pirate", "?")], ITEMS)])
        tables.write(table, TABLE, "scores", {})
        return sorted(name for name in REPLIES if any(f"Arr, {name}." in p for p in self.asked))

    @property
    def asked(self) -> list[str]:
        """What the endpoint was asked since the table was begun."""
        return list(self.endpoint.asked)


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serve: Callable[..., Endpoint]) -> Study:
    monkeypatch.chdir(tmp_path)

    def behave(body: dict[str, Any], _before: int) -> Reply:
        found = re.search(r"Arr, (\w+)\.", body["messages"][-1]["content"])
        assert found
        return REPLIES[found[1]]

    made = Study(serve(behave))
    assert made.judged() == sorted(REPLIES)
    return made


def test_a_table_that_is_made_again_asks_only_for_what_was_unclear(study: Study) -> None:
    assert study.judged() == ["unclear"]


@pytest.mark.parametrize(
    ("reasons", "again"),
    [
        (["refusal"], ["refused", "unclear"]),
        (["filtered"], ["filtered", "unclear"]),
        (["refusal", "filtered", "parse_failure"], ["filtered", "refused", "unclear"]),
    ],
)
def test_what_is_forgotten_is_asked_for_again(
    study: Study, capsys: pytest.CaptureFixture[str], reasons: list[str], again: list[str]
) -> None:
    options = [word for reason in reasons for word in ("--reason", reason)]
    assert main(["judge", "forget", "--study", "study.yaml", *options]) == 0
    n = len(reasons)
    assert capsys.readouterr().out.splitlines() == [
        str(TABLE),
        f"{n} unscored responses in 1 tables; {n} stored answers deleted; "
        "run the study to judge them again",
    ]
    assert not TABLE.exists()
    assert study.judged() == again


def test_a_dry_run_deletes_nothing(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--study", "study.yaml", "--reason", "refusal", "--dry-run"]
    assert main(["judge", "forget", *options]) == 0
    assert "1 unscored responses in 1 tables; 0 stored answers deleted (dry run)" in (
        capsys.readouterr().out
    )
    assert TABLE.exists()
    assert study.judged() == ["unclear"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--reason", "boredom"], "--reason: 'boredom' is unknown; accepted: empty_response"),
        (["--reason", "refusal", "--judge", "gpt"], "'gpt' is unknown; accepted: remote"),
    ],
)
def test_an_unknown_name_is_one_line(
    study: Study, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert main(["judge", "forget", "--study", "study.yaml", *options]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_a_study_without_scores_is_one_line(
    study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    TABLE.unlink()
    assert main(["judge", "forget", "--study", "study.yaml", "--reason", "refusal"]) == 1
    assert "no score tables; run the study first" in capsys.readouterr().err
