"""Only changed nodes rerun: the planned jobs after each kind of change."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from personae.data.table_checksums import content_checksum

from .conftest import MINI, Job, Project, counts

Edit = Callable[[str, str, str], None]
ROLE_CHAIN = {
    "generate_role_responses",
    "judge_role_responses",
    "extract_role_activations",
    "compute_role_vectors",
}
GENERATION = {
    "generate_role_responses",
    "generate_trait_responses",
    "extract_role_activations",
    "extract_trait_activations",
}
REPORTING = {"build_scorecard", "write_report"}
IMPORT = "from __future__ import annotations\n"
EDITED = f"{IMPORT}\nADDED = 1\n"


def chain_of(jobs: list[Job], persona: str) -> set[str]:
    """Rules that run for one persona."""
    return {job.rule for job in jobs if job.persona == persona}


def test_a_complete_run_leaves_nothing_to_do(project: Project) -> None:
    assert project.planned() == []


def test_an_edited_role_reruns_its_chain_and_the_aggregates(project: Project, edit: Edit) -> None:
    edit(
        "config/roles/archetype.yaml",
        "You are a pirate captain on the deck",
        "You are a pirate on the deck",
    )
    jobs = project.planned()
    assert chain_of(jobs, "pirate") == ROLE_CHAIN
    for other in ("wizard", "librarian", "default"):
        assert not chain_of(jobs, other)
    assert not chain_of(jobs, "poetic/positive") & GENERATION
    assert counts(jobs)["compute_axis"] == counts(jobs)["project_role_responses"] == 1
    assert "prepare_model" not in counts(jobs)
    assert "calibrate_judges" not in counts(jobs)


def test_an_added_role_runs_alone(project: Project, edit: Edit) -> None:
    edit(MINI, "[pirate, wizard, librarian]", "[pirate, wizard, librarian, ghost]")
    jobs = project.planned()
    assert chain_of(jobs, "ghost") == ROLE_CHAIN
    assert {j.persona for j in jobs if j.rule in GENERATION} == {"ghost"}


def test_an_added_question_reruns_the_roles_and_no_trait(project: Project, edit: Edit) -> None:
    edit(MINI, "questions: {extraction: 2, heldout: 1}", "questions: {extraction: 3, heldout: 1}")
    jobs = project.planned()
    for role in ("pirate", "wizard", "librarian", "default"):
        assert "generate_role_responses" in chain_of(jobs, role)
    assert not {"generate_trait_responses", "extract_trait_activations"} & set(counts(jobs))


def test_a_question_added_to_one_trait_reruns_that_trait(project: Project, edit: Edit) -> None:
    edit(
        "config/traits/poetic.yaml",
        '- "What is it like to walk in a forest in autumn?"',
        '- "What is it like to walk along a beach in autumn?"',
    )
    jobs = project.planned()
    assert {j.persona for j in jobs if j.rule in GENERATION} == {
        "poetic/positive",
        "poetic/negative",
    }


def test_changed_judges_generate_no_rollouts(project: Project, edit: Edit) -> None:
    edit(MINI, "primary: likelihood, second: embedding", "primary: embedding, second: null")
    jobs = project.planned()
    assert not GENERATION & set(counts(jobs))
    assert counts(jobs)["calibrate_judges"] == 1
    assert counts(jobs)["judge_role_responses"] == 3
    assert counts(jobs)["judge_trait_responses"] == 10  # both sides of 2 traits, 3 of trait space


def test_an_edited_plot_reruns_figures_and_report(project: Project, edit: Edit) -> None:
    edit("scripts/personae/report/plots/style.py", IMPORT, EDITED)
    rules = set(counts(project.planned()))
    assert rules
    assert all(rule.startswith("plot_") or rule == "write_report" for rule in rules)


def test_an_edited_docstring_or_comment_reruns_nothing(project: Project, edit: Edit) -> None:
    edit("scripts/personae/inference/torch_engine/sampling.py", '"""', '"""Edited. ')
    edit("scripts/personae/inference/torch_engine/sampling.py", IMPORT, f"{IMPORT}# Edited.\n")
    assert project.planned() == []


def test_an_edited_engine_reruns_everything_it_made(project: Project, edit: Edit) -> None:
    edit("scripts/personae/inference/torch_engine/sampling.py", IMPORT, EDITED)
    found = counts(project.planned())
    assert found["generate_role_responses"] == 4
    assert found["generate_trait_responses"] == 10
    assert found["extract_role_activations"] == 4
    assert "prepare_model" not in found


def test_a_deleted_activation_file_is_made_again(
    project: Project, without: Callable[[str], Path]
) -> None:
    without("roles/pirate/activations.parquet")
    jobs = project.planned()
    assert [j for j in jobs if j.rule in GENERATION] == [
        job for job in jobs if (job.rule, job.persona) == ("extract_role_activations", "pirate")
    ]
    assert "compute_role_vectors" in chain_of(jobs, "pirate")
    assert "judge_role_responses" not in counts(jobs)


@pytest.mark.parametrize("name", ["roles/pirate/activations.parquet", "axis/separation.parquet"])
def test_a_truncated_table_is_made_again_where_nothing_else_is_due(
    project: Project, without: Callable[[str], Path], name: str
) -> None:
    path = without(name)
    whole = path.with_suffix(".kept").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    planned = project.snakemake("--dry-run")
    assert f"{name}: truncated or damaged; it is made again" in planned.stderr
    assert path.exists(), "a dry run changes nothing"
    done = project.snakemake("--", str(path.relative_to(project.root)))
    assert done.returncode == 0, done.stderr
    assert content_checksum(path) == content_checksum(path.with_suffix(".kept"))


def test_a_removed_trait_reruns_aggregates_alone(project: Project, edit: Edit) -> None:
    edit(MINI, "[poetic, pirate_speech]", "[poetic]")
    jobs = project.planned()
    assert jobs
    assert not any(job.persona for job in jobs if job.rule in GENERATION)
    assert counts(jobs)["compare_trait_vectors"] == 1
    # Floors are calibrated on roles, trait space and default, not on the traits that are steered.
    assert "calibrate_floors" not in counts(jobs)


def test_snakemakes_report_has_categories_captions_and_the_studys_page(
    project: Project, tmp_path: Path
) -> None:
    target = tmp_path / "report.zip"
    done = project.snakemake("--report", str(target))
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(target) as packed:
        names = packed.namelist()
        (page,) = [name for name in names if name.endswith("report.html") and "data" not in name]
        shown = packed.read(page).decode("utf-8")
        images = [name for name in names if name.endswith(".svg")]
        pages = [name for name in names if "data" in name and name.endswith("report.html")]
    for words in ("Persona space", "Capping", "Roles and variance", "The study's own report"):
        assert words in shown
    assert "mini" in shown
    drawn = list((project.root / "results/mini/figures").rglob("*.svg"))
    assert len(images) == len(drawn) > 20
    assert len(pages) == 1
