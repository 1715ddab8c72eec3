"""The site's settings: from the environment, checked, and never a command that hangs."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from personae.data.model_table import read_models
from personae.workflow.cluster import resources, site_settings

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(site_settings.PREFIX)]:
        monkeypatch.delenv(name)


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose programs are Slurm's commands, as far as these tests are concerned."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def answer(folder: Path, name: str, text: str, status: int = 0) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\nprintf '{text}'\nexit {status}\n")
    path.chmod(0o755)


def test_without_slurm_nothing_is_asked(commands: Path) -> None:
    assert site_settings.status_command() == "squeue"
    assert site_settings.poll_seconds() == 20


def test_no_accounting_means_squeue_before_it_forgets(
    commands: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = "AccountingStorageType = accounting_storage/none\\nMinJobAge = 30 sec\\n"
    answer(commands, "scontrol", config)
    answer(commands, "sacct", "Slurm accounting storage is disabled", status=1)
    assert site_settings.status_command() == "squeue"
    assert site_settings.poll_seconds() == 10
    monkeypatch.setenv("PERSONAE_SLURM_POLL_SECONDS", "4")
    assert site_settings.poll_seconds() == 4


def test_accounting_means_sacct_if_it_answers(commands: Path) -> None:
    answer(commands, "scontrol", "AccountingStorageType = accounting_storage/slurmdbd\\n")
    answer(commands, "sacct", "")
    assert site_settings.status_command() == "sacct"
    answer(commands, "sacct", "", status=1)
    assert site_settings.status_command() == "squeue"


@pytest.mark.parametrize("name", ["GROUP", "JOBS", "POLL_SECONDS"])
def test_a_senseless_number_is_refused_by_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(site_settings.PREFIX + name, "many")
    with pytest.raises(
        site_settings.SiteError, match=rf"{site_settings.PREFIX}{name}='many'.*whole number"
    ):
        site_settings.number(name, 1)


def test_only_what_is_set_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    always = {"runtime", "mem_mb", "disk_mb", "one_at_a_time"}
    assert set(site_settings.default_resources()) == always
    monkeypatch.setenv("PERSONAE_SLURM_PARTITION", "gpu")
    monkeypatch.setenv("PERSONAE_SLURM_QOS", "high")
    assert site_settings.default_resources()["slurm_partition"] == "'gpu'"
    assert site_settings.default_resources()["qos"] == "'high'"
    monkeypatch.setenv("PERSONAE_SLURM_CPU_PARTITION", "cpu")
    assert site_settings.default_resources()["slurm_partition"] == "'cpu'"


def test_a_model_asks_for_its_gpus_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    models = read_models(ROOT / "config/models.tsv")
    large, small = models["llama33_70b"], models["smollm2_135m"]
    assert resources.gpu_request(small) == ""
    assert resources.gpu_request(large) == f"gpu:{large.gpus}"
    monkeypatch.setenv("PERSONAE_SLURM_GRES", "gpu:a100:{gpus}")
    assert resources.gpu_request(large) == f"gpu:a100:{large.gpus}"
    first, second = resources.memory_mb(large, 1), resources.memory_mb(large, 2)
    assert first >= 1000 * large.mem_gb
    assert second == pytest.approx(1.5 * first, rel=1e-3)
    assert resources.minutes(600, 2) == 2 * resources.minutes(600, 1) == 40
    monkeypatch.setenv("PERSONAE_SLURM_GRES", "gpu:2")
    with pytest.raises(site_settings.SiteError, match=r"write \{gpus\}"):
        resources.gpu_request(large)


def test_groups_that_run_the_model_hold_personas_and_others_hold_tables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PERSONAE_SLURM_GROUP", "3")
    monkeypatch.setenv("PERSONAE_SLURM_TABLE_GROUP", "5")
    sizes = site_settings.group_components()
    assert sizes["persona_{model}"] == sizes["sweep_{model}"] == sizes["monitoring_{model}"] == 3
    assert sizes["persona_judging_{model}"] == sizes["vectors_{model}"] == 5
    assert sizes["choice_{model}"] == sizes["figures_{model}"] == 5


def test_every_variable_is_documented() -> None:
    readme = (ROOT / "profiles/slurm/README.md").read_text()
    source = "".join(
        (ROOT / path).read_text()
        for path in ("scripts/personae/workflow/cluster/site_settings.py",
                     "scripts/personae/workflow/cluster/resources.py",
                     "profiles/slurm/config.yaml")
    )  # fmt: skip
    used = set(re.findall(r"""(?:text|number)\(["']([A-Z_]+)["']""", source))
    documented = set(re.findall(r"`PERSONAE_SLURM_([A-Z_]+)`", readme))
    assert used == documented
