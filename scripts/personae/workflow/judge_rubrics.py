"""Rubrics and prompt templates for the chat judges of a study."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from personae.judging.judge_prompts import read_template
from personae.judging.judge_types import RubricKind
from personae.judging.rubrics import RubricTemplate, load_rubric_templates

if TYPE_CHECKING:
    from personae.workflow.config.study import Study


def judge_rubric_templates(study: Study) -> dict[RubricKind, RubricTemplate]:
    """Return the rubrics that chat judges read, by kind."""
    return load_rubric_templates(f"{study.config.library.judging}/rubrics", study.base)


def judge_templates(study: Study, kind: RubricKind, targets: Iterable[str]) -> dict[str, str]:
    """Return the prompt templates that replace a rubric, by target.

    A target without such a file (a persona that is no role of the study) is judged by the rubric.
    """
    path = study.config.judging.templates.get(kind)
    if path is None:
        return {}
    named = {target: path.replace("{target}", target) for target in targets}
    return {
        target: read_template(study.base / name, name)
        for target, name in named.items()
        if (study.base / name).is_file()
    }
