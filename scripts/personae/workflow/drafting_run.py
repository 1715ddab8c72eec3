"""What a run says that drafts traits: it makes their files and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from personae.workflow.config.study import Study


def to_draft(study: Study) -> str:
    """Say which traits this run drafts."""
    writer = study.config.assignments.artifact_writer
    return (
        f"{_counted(study)} described, without a file in {study.config.library.traits}: this run "
        f"drafts {_names(study)} by the endpoint {writer} and nothing else"
    )


def drafted(study: Study) -> str:
    """Say which traits the run has drafted, and what comes next."""
    folder = study.config.library.traits
    files = ", ".join(f"{folder}/{name}.yaml" for name in study.undrafted)
    return f"{_counted(study)} drafted: read {files}, edit what you like, then run again"


def early_targets(study: Study, asked: Iterable[str], rules: Collection[str]) -> list[str]:
    """Return one line per file that is asked for before all traits of the study have one.

    Names of rules are no problem: their targets are the drafts then.
    """
    if not study.undrafted:
        return []
    return [
        f"{target}: comes after the drafts of {_names(study)}; run without targets first"
        for target in sorted(set(asked) - set(rules))
    ]


def _counted(study: Study) -> str:
    n = len(study.undrafted)
    return "1 trait" if n == 1 else f"{n} traits"


def _names(study: Study) -> str:
    return ", ".join(study.undrafted)
