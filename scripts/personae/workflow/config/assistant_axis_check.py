"""Checks of the sections about steering along the axis, harm and case studies."""

from __future__ import annotations

from collections.abc import Iterator

from personae.base.validation_messages import did_you_mean
from personae.judging.judge_types import RubricKind
from personae.workflow.config.study import Study


def unknown_susceptible(study: Study) -> Iterator[str]:
    """Yield one line per role of `susceptibility` that the library does not have."""
    section = study.config.susceptibility
    if section is None or section.roles == "all":
        return
    for index, name in enumerate(section.roles):
        if name not in study.library.roles:
            here = did_you_mean(name, study.library.roles)
            yield f"susceptibility.roles[{index}]: no role {name!r} in the library{here}"


def check_assistant_axis(study: Study) -> Iterator[str]:
    """Yield one line per problem: place, value and remedy."""
    section = study.config.susceptibility
    if section is None:
        return
    yield from _judged(study, "susceptibility", "role_label")
    there = study.config.capping.random_directions
    if section.random_directions > there:
        yield (
            f"susceptibility.random_directions: {section.random_directions} is too many, "
            f"capping.random_directions is {there}; lower it or raise the other"
        )
    for name in study.config.models:
        n_layers = study.models[name].n_layers
        if section.layer is not None and section.layer >= n_layers:
            yield (
                f"susceptibility.layer: {section.layer} is out of range, {name} has layers 0 to "
                f"{n_layers - 1}; lower it"
            )


def _judged(study: Study, place: str, kind: RubricKind) -> Iterator[str]:
    """Require a judge of every response that knows a rubric: any but the likelihood judge."""
    judging = study.config.judging
    if judging.primary == "likelihood" and judging.second is None:
        yield (
            f"{place}: the likelihood judge does not score {kind}; name embedding or an endpoint "
            f"in judging.second, or set {place} to null"
        )
