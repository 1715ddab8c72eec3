"""The progress of a run: time left from measurements alone, tokens, what is reused, the end."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from personae.data import tables
from personae.workflow.config import load_study
from personae.workflow.progress import machine_rates, run_context
from personae.workflow.progress.machine_rates import Measured
from personae.workflow.progress.run_figures import (
    expected_seconds,
    generated_tokens,
    wall_clock,
)
from personae.workflow.progress.run_progress import RunProgress
from personae.workflow.progress.status_lines import StatusLines
from personae.workflow.progress.time_left import TimeLeft
from personae.workflow.progress.wall_shares import WallShares
from tests.unit.conftest import ROOT


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def progress(
    clock: Clock, tmp_path: Path, demo: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> RunProgress:
    """A run of the demo in an empty folder, with 20 jobs of others reused."""
    monkeypatch.chdir(tmp_path)
    run_context.begin(run_context.RunContext(load_study(demo, ROOT), 20))
    return RunProgress(clock, tmp_path / "rates")


def run(progress: RunProgress, clock: Clock, number: int, rule: str, seconds: float) -> None:
    progress.start(number, rule, "pirate", ())
    clock.now += seconds
    progress.finish(number)


def test_shares_of_jobs_add_up_to_the_time_in_which_anything_ran() -> None:
    shares = WallShares()
    shares.start(1, 0.0)
    shares.start(2, 4.0)  # the first had 4 seconds for itself
    assert shares.end(1, 10.0) == 4.0 + 3.0
    assert shares.end(2, 12.0) == 3.0 + 2.0
    shares.start(3, 20.0)
    assert shares.end(3, 21.0) == 1.0


def test_no_figure_while_rules_were_never_measured() -> None:
    left = TimeLeft({"a": 2, "b": 2}, {"a": Measured(10.0, 1.0)}, lambda rule: 1.0)
    assert left.seconds() is None
    left.finish("b", 3.0)
    # Two of a at 10 seconds, and one more of b.
    assert left.seconds() == pytest.approx(23.0)


def test_earlier_runs_of_another_size_are_scaled_by_the_estimate() -> None:
    # The earlier study's nodes took twice what was expected; this one's are expected to take 5 s.
    left = TimeLeft({"a": 3}, {"a": Measured(40.0, 20.0)}, lambda rule: 5.0)
    assert left.seconds() == pytest.approx(30.0)


def test_a_slower_machine_than_before_is_noticed() -> None:
    known = {"a": Measured(10.0, 1.0), "b": Measured(4.0, 1.0)}
    left = TimeLeft({"a": 2, "b": 10}, known, lambda rule: 1.0)
    left.finish("a", 40.0)
    left.finish("a", 40.0)
    assert left.seconds() == pytest.approx(10 * 4.0 * 4)


def test_a_few_jobs_of_new_rules_count_as_the_mean() -> None:
    left = TimeLeft({"a": 19, "new": 1}, {"a": Measured(2.0, 1.0)}, lambda rule: 1.0)
    assert left.seconds() == pytest.approx(40.0)


def test_rates_are_kept_per_machine_and_the_last_run_counts_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert machine_rates.load(tmp_path) == {}
    machine_rates.keep({"a": Measured(10.0, 10.0)}, tmp_path)
    machine_rates.keep({"a": Measured(30.0, 10.0), "b": Measured(1.0, 1.0)}, tmp_path)
    assert machine_rates.load(tmp_path) == {"a": Measured(35.0, 15.0), "b": Measured(1.0, 1.0)}
    monkeypatch.setattr(machine_rates, "this_machine", lambda: "another")
    assert machine_rates.load(tmp_path) == {}
    (tmp_path / "node_seconds.json").write_text("[", "utf-8")
    assert machine_rates.load(tmp_path) == {}


def test_a_run_says_what_is_reused_and_gives_no_figure_on_a_new_machine(
    progress: RunProgress, clock: Clock
) -> None:
    progress.begin({"generate_role_responses": 1, "write_report": 1, "total": 2})
    said = list(progress.opening())
    assert said[0] == "2 jobs to run; the results of 20 others are reused"
    assert said[1].startswith("time left: not known yet")
    run(progress, clock, 1, "generate_role_responses", 65.0)
    assert "left" not in progress.line(1, 2)
    assert "1:05 elapsed" in progress.line(1, 2)


def test_the_next_run_has_the_figures_of_this_one(
    progress: RunProgress, clock: Clock, tmp_path: Path
) -> None:
    progress.begin({"generate_role_responses": 1, "write_report": 1})
    list(progress.opening())
    run(progress, clock, 1, "generate_role_responses", 30.0)
    run(progress, clock, 2, "write_report", 10.0)
    progress.line(2, 2)
    list(progress.closing())
    again = RunProgress(clock, tmp_path / "rates")
    again.begin({"generate_role_responses": 2, "write_report": 1})
    assert list(again.opening())[1] == "time left: about 70 s, from earlier runs of this machine"


def test_jobs_of_a_queue_have_no_time_left(clock: Clock, demo: dict[str, Any]) -> None:
    run_context.begin(run_context.RunContext(load_study(demo, ROOT), 0, is_local=False))
    progress = RunProgress(clock)
    progress.begin({"generate_role_responses": 1})
    assert list(progress.opening())[-1] == "time left: not known, as jobs wait in a queue"


def test_the_end_names_the_report(progress: RunProgress, clock: Clock, tmp_path: Path) -> None:
    report = tmp_path / "results/demo/report.html"
    report.parent.mkdir(parents=True)
    report.write_text("<html>", "utf-8")
    progress.begin({"write_report": 1})
    run(progress, clock, 1, "write_report", 61.0)
    progress.line(1, 1)
    assert list(progress.closing()) == [
        "1 of 1 jobs done in 1:01",
        "report: results/demo/report.html (open it in a browser)",
    ]


def test_a_run_without_the_report_ends_with_the_results(
    progress: RunProgress, clock: Clock
) -> None:
    progress.begin({"plot_steering": 1})
    run(progress, clock, 1, "plot_steering", 1.0)
    progress.line(1, 1)
    assert list(progress.closing()) == ["1 of 1 jobs done in 0:01", "results: results/demo"]


def test_the_end_names_what_failed_and_how_to_go_on(progress: RunProgress, clock: Clock) -> None:
    progress.begin({"steer_trait": 2, "write_report": 1})
    progress.start(1, "steer_trait", "poetic", ())
    progress.start(2, "steer_trait", "formal", ())
    assert progress.fail(1, "steer_trait", ["a.log"]) == "FAILED steer_trait poetic; its log: a.log"
    progress.fail(2, "steer_trait", [])
    progress.start(2, "steer_trait", "formal", ())  # another attempt, which ends well
    progress.finish(2)
    progress.line(1, 3)
    assert list(progress.closing()) == [
        "1 of 3 jobs done in 0:00",
        "failed: steer_trait poetic; its log: a.log",
        "to go on, mend what the logs say and run the same command again: what is done is kept",
    ]


def test_an_interrupted_run_says_how_to_go_on(progress: RunProgress) -> None:
    progress.begin({"write_report": 1})
    assert list(progress.closing())[-1] == (
        "to go on, run the same command again: what is done is kept"
    )


def test_generated_tokens_are_counted_and_give_a_rate(
    progress: RunProgress, clock: Clock, tmp_path: Path
) -> None:
    rows = [{"response_ids": [1, 2, 3]}, {"response_ids": [4] * 37}]
    path = tmp_path / "responses.parquet"
    tables.write(tables.from_rows(rows, "role_responses"), path, "role_responses", {})
    assert generated_tokens([path, tmp_path / "missing.parquet", "a.svg"]) == 40
    progress.begin({"generate_role_responses": 1})
    progress.start(1, "generate_role_responses", "cat", (str(path),))
    clock.now += 4.0
    progress.finish(1)
    assert "40 tokens, 10/s" in progress.line(1, 1)


def test_the_estimate_has_seconds_for_every_rule(demo: dict[str, Any]) -> None:
    expected = expected_seconds(load_study(demo, ROOT))
    assert expected["generate_role_responses"] > 1
    assert expected["plot_steering"] == 1
    assert min(expected.values()) > 0


def test_the_wall_clock_of_jobs_comes_from_earlier_runs(
    demo: dict[str, Any], tmp_path: Path
) -> None:
    study = load_study(demo, ROOT)
    assert "not known" in wall_clock(study, {"plot_steering": 3}, tmp_path)
    machine_rates.keep({"plot_steering": Measured(20.0, 1.0)}, tmp_path)
    assert "about 60 s" in wall_clock(study, {"plot_steering": 3}, tmp_path)


def test_only_a_terminal_gets_a_status_and_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "10")
    plain, terminal = io.StringIO(), io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    for stream in (plain, terminal):
        lines = StatusLines(stream)
        lines.status("123456789abc")
        lines.say("done")
    assert plain.getvalue() == "done\n"
    assert terminal.getvalue() == "\r\x1b[K123456789\r\x1b[Kdone\n"
