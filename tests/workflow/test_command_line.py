"""What a user types in the root, and what is said when something in the config is wrong."""

from __future__ import annotations

import pytest

from .conftest import Project, counts, parse_jobs


def test_a_dry_run_plans_the_whole_demo(fresh: Project) -> None:
    done = fresh.run("-n")
    assert done.returncode == 0, done.stdout + done.stderr
    planned = counts(parse_jobs(done.stdout + done.stderr))
    assert planned["write_report"] == 1
    assert planned["prepare_model"] == 2  # the model and the embedder
    assert planned["generate_role_responses"] == 13


# Which settings are refused, and with what words, is tested in tests/unit/workflow/test_study.py.
@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("roles={names: [pirat]}", ["roles.names", "pirat", "pirate"]),
        ("rolls={names: [pirate]}", ["rolls", "roles"]),
    ],
)
def test_a_wrong_setting_is_one_line_before_any_job(
    fresh: Project, setting: str, said: list[str]
) -> None:
    done = fresh.snakemake("--config", setting)
    text = done.stdout + done.stderr
    assert done.returncode != 0
    assert "Finished jobid" not in text
    assert "Traceback" not in text
    lines = [line for line in text.splitlines() if all(part in line for part in said)]
    assert len(lines) == 1, text
