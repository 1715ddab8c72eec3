"""Checks of the sections about steering along the axis, harm and case studies."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from personae.base.validation_messages import did_you_mean
from personae.judging.judge_types import RubricKind
from personae.workflow.config.study import Study


def unknown_personas(study: Study) -> Iterator[str]:
    """Yield one line per role or jailbreak of these sections that the library does not have."""
    config, library = study.config, study.library
    choices: list[tuple[str, str, Sequence[str], Collection[str]]] = []
    if config.susceptibility is not None:
        roles = config.susceptibility.roles
        choices.append(("susceptibility.roles", "role", roles, library.roles))
    if config.harm is not None:
        personas = config.harm.personas
        choices.append(("harm.personas", "persona jailbreak", personas, library.jailbreak))
    if config.harm_link is not None:
        roles = config.harm_link.roles
        choices.append(("harm_link.roles", "role", roles, study.role_names))
    if config.cases is not None:
        talks = config.cases.conversations
        choices.append(("cases.conversations", "case study", talks, library.case_studies))
    for place, what, names, known in choices:
        where = "the study" if place == "harm_link.roles" else "the library"
        for index, name in enumerate(names if names != "all" else ()):
            if name not in known:
                here = did_you_mean(name, known)
                yield f"{place}[{index}]: no {what} {name!r} in {where}{here}"


def check_assistant_axis(study: Study) -> Iterator[str]:
    """Yield one line per problem: place, value and remedy."""
    yield from _susceptibility(study)
    yield from _harm(study)
    yield from _harm_link(study)
    if study.config.cases is not None:
        yield from _judged(study, "cases", "delusion_risk")


def _harm(study: Study) -> Iterator[str]:
    section, capping = study.config.harm, study.config.capping
    if section is None:
        return
    yield from _judged(study, "harm", "harm")
    probes = len(study.library.harm_probes)
    limits = (
        ("random_directions", section.random_directions, capping.random_directions),
        ("probes", section.probes or 0, probes),
    )
    for place, asked, there in limits:
        if asked > there:
            yield f"harm.{place}: {asked} is too many, there are {there}; lower it or add more"
    calibrated: list[tuple[str, Sequence[object], Sequence[object]]] = [
        ("percentiles", section.percentiles or [], capping.percentiles),
        ("readings", section.readings or [], capping.readings),
    ]
    for name, asked_for, known in calibrated:
        for value in asked_for:
            if value not in known:
                yield f"harm.{name}: {value} is not calibrated; add it to capping.{name}"
    if section.wrong_sign and len(capping.readings) < 2:
        yield (
            "harm.wrong_sign: needs both readings among capping.readings; add the other or write "
            "false"
        )


def _harm_link(study: Study) -> Iterator[str]:
    section = study.config.harm_link
    if section is None:
        return
    yield from _judged(study, "harm_link", "harm")
    limits = (
        ("prompts", section.prompts, study.config.roles.prompts),
        ("questions", section.questions, len(study.heldout_questions)),
        ("probes", section.probes or 0, len(study.library.harm_probes)),
    )
    for place, asked, there in limits:
        if asked > there:
            yield f"harm_link.{place}: {asked} is too many, there are {there}; lower it or add more"


def _susceptibility(study: Study) -> Iterator[str]:
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
