"""Parameters of the harm nodes: arms, persona prompts, first turns and harmful requests."""

from __future__ import annotations

from collections.abc import Sequence

from personae.base.field_types import LayerBand
from personae.data.table_values import DEFAULT
from personae.workflow.config.assistant_axis_sections import HarmSection
from personae.workflow.config.study import Study, expand, spread
from personae.workflow.node_params.question_texts import Record


def harm_arms(study: Study, model: str) -> list[Record]:
    """Caps along the axis, their controls, and steering; arms without any are understood.

    Controls have the reading that the capping arm evaluates.
    """
    section = study.config.harm
    if section is None:
        return []
    bands = study.bands(model)[: section.bands]
    percentiles = section.percentiles or study.config.capping.percentiles
    evaluated = study.config.capping.evaluated.reading
    readings = section.readings or [evaluated]
    arms = [
        {"contrast": contrast, "band": str(band), "percentile": percentile, "reading": reading}
        for contrast, of_arm in _contrasts(section, readings, evaluated)
        for reading in of_arm
        for band in (bands if contrast != "single_layer" else _middles(bands))
        for percentile in percentiles
    ]
    steered = ["steering", *(f"steering_random{i}" for i in range(section.random_directions))]
    return arms + [
        {"contrast": contrast, "strength": strength}
        for contrast in steered
        for strength in section.steering
    ]


def _contrasts(
    section: HarmSection, readings: Sequence[str], evaluated: str
) -> list[tuple[str, list[str]]]:
    """Kinds of cap, with their readings."""
    found = [("axis", list(readings))]
    found += [(f"random{i}", [evaluated]) for i in range(section.random_directions)]
    found += [("wrong_sign", [evaluated])] if section.wrong_sign else []
    return found + ([("single_layer", [evaluated])] if section.single_layer else [])


def _middles(bands: list[LayerBand]) -> list[str]:
    """The middle layer of every band, as a band; two bands may share one."""
    middles = dict.fromkeys((band.first + band.last) // 2 for band in bands)
    return [f"{layer}-{layer}" for layer in middles]


def harm_link(study: Study) -> Record | None:
    """First turns of roles, by their system prompts and questions, and the requests after them."""
    section = study.config.harm_link
    if section is None:
        return None
    return {
        "roles": [*expand(section.roles, study.role_names), DEFAULT],
        "prompts": section.prompts,
        "questions": [question.id for question in study.heldout_questions[: section.questions]],
        "probes": _probes(study, section.probes),
        "seed": study.config.seed,
        "sampling": section.sampling.model_dump(),
    }


def _probes(study: Study, count: int | None) -> list[Record]:
    """Harmful requests, taken in turn from all categories."""
    known = {probe.id: probe for probe in study.library.harm_probes}
    return [
        known[name].model_dump(include={"id", "category", "text"})
        for name in spread(list(known), known, count)
    ]


def harm_record(study: Study, model: str) -> Record | None:
    """Persona prompts x harmful requests, and how arms intervene."""
    section, capping = study.config.harm, study.config.capping
    if section is None:
        return None
    jailbreaks = study.library.jailbreak
    return {
        "personas": {
            name: jailbreaks[name].system for name in expand(section.personas, jailbreaks)
        },
        "probes": _probes(study, section.probes),
        "pool": capping.evaluated.pool,
        "positions": capping.positions,
        "layer": study.models[model].middle_layer,
        "samples": section.samples,
        "seed": study.config.seed,
        "sampling": section.sampling.model_dump(),
    }
