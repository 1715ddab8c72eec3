"""What a user types in the root, and what is said when something in the config is wrong."""

from __future__ import annotations

import pytest

from .conftest import Project, counts, parse_jobs


@pytest.mark.parametrize(
    ("arguments", "models"),
    [
        ((), 2),
        (("--profile", "local"), 2),
        # With all its models it is planned in test_scale.
        (("--configfile", "config/paper.yaml", "--config", "models=[qwen3_32b]"), 2),
    ],
    ids=["plain", "profile local", "paper"],
)
def test_dry_runs_plan_the_whole_study(
    project: Project, arguments: tuple[str, ...], models: int
) -> None:
    done = project.run("-n", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    planned = counts(parse_jobs(done.stdout + done.stderr))
    assert planned["write_report"] == 1
    # The embedded models are prepared already when the fixture ran; a study's others are not.
    assert planned["prepare_model"] <= models
    assert planned["generate_role_responses"] >= 13


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("roles={names: [pirat]}", ["roles.names", "pirat", "pirate"]),
        ("traits={names: [poetik]}", ["traits.names", "poetik", "poetic"]),
        ("rolls={names: [pirate]}", ["rolls", "roles"]),
        ("layer_sweep={layers: [40]}", ["layer_sweep.layers", "40", "smollm2_135m"]),
        ("capping={percentiles: [125]}", ["capping.percentiles", "125"]),
        ("models=[smollm3]", ["models", "smollm3", "smollm2_135m"]),
    ],
)
def test_a_wrong_setting_is_one_line_before_any_job(
    project: Project, setting: str, said: list[str]
) -> None:
    done = project.snakemake("--config", setting)
    text = done.stdout + done.stderr
    assert done.returncode != 0
    assert "Finished jobid" not in text
    assert "Traceback" not in text
    lines = [line for line in text.splitlines() if all(part in line for part in said)]
    assert len(lines) == 1, text
