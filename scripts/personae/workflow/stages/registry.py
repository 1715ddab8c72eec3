"""All stages of the workflow, and what others ask about them.

A new stage is declared in one of the modules beside this one. Its rule, its script and its science
are the only other things to write: batch groups, estimate, arm targets, score summary, scorecard
inputs, report headings and timings follow from the declaration.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING, Final

from personae.data.table_values import DEFAULT
from personae.workflow.stages.axis_experiment_stages import AXIS_EXPERIMENT_STAGES
from personae.workflow.stages.experiment_stages import EXPERIMENT_STAGES
from personae.workflow.stages.figure_stages import FIGURE_STAGES
from personae.workflow.stages.persona_parts import role_parts, trait_parts
from personae.workflow.stages.persona_stages import PERSONA_STAGES
from personae.workflow.stages.reading_stages import READING_STAGES
from personae.workflow.stages.stage import Output, Stage
from personae.workflow.stages.training_stages import TRAINING_STAGES
from personae.workflow.stages.trait_stages import TRAIT_STAGES

if TYPE_CHECKING:
    from personae.workflow.config import Study

ARMS: Final = {
    "models": "Models",
    "library": "Library",
    "judging": "Judges",
    "roles": "Roles",
    "axis": "Axis",
    "traits": "Traits",
    "steering": "Steering",
    "monitoring": "Monitoring",
    "susceptibility": "Susceptibility",
    "reading": "Interpretation",
    "finetuning": "Fine-tuning and data screening",
    "capping": "Capping",
    "harm": "Harm",
    "cases": "Case studies",
    "drift": "Drift",
    "published": "Published vectors",
    "report": "Figures and report",
}
"""Rule files, which are the folders of scripts too, with their titles, in order."""

STAGES: Final = {
    stage.rule: stage
    for stage in (
        *PERSONA_STAGES,
        *TRAIT_STAGES,
        *EXPERIMENT_STAGES,
        *AXIS_EXPERIMENT_STAGES,
        *TRAINING_STAGES,
        *READING_STAGES,
        *FIGURE_STAGES,
    )
}
"""Stages by the name of their rule."""


def nodes(
    stage: Stage, study: Study, model: str, *, trait_space: bool = True
) -> Iterator[dict[str, str]]:
    """Yield the wildcards, without that of the study, of a stage's nodes for one model.

    Parameters
    ----------
    stage
        Any stage but one that has a single node for a study.
    study
        The study.
    model
        One of its models.
    trait_space
        Whether the traits of the trait space are included where the stage has nodes for them.
    """
    if stage.only_if is not None and not stage.only_if(study):
        return
    # Imported here: the profiles of a cluster read this module before there is a study.
    from personae.workflow.config import training_plan

    at = {"model": model}
    traits = list(study.trait_names)
    if trait_space and stage.per != "trait":
        traits += study.space_names
    if stage.per in ("role", "played role"):
        roles = [*study.role_names, DEFAULT] if stage.per == "role" else study.role_names
        yield from ({**at, "role": role} for role in roles)
    elif stage.per in ("role part", "trait part"):
        parts = role_parts(study) if stage.per == "role part" else trait_parts(study)
        yield from ({**at, "part": part} for part in parts)
    elif stage.per == "trait":
        yield from ({**at, "trait": trait} for trait in traits)
    elif stage.per == "trait side":
        for trait in traits:
            for polarity in ("positive", "negative"):
                yield {**at, "trait": trait, "polarity": polarity}
    elif stage.per == "adapter":
        yield from ({**at, "adapter": name} for name in training_plan.adapters(study))
    elif stage.per == "trained trait":
        yield from ({**at, "trait": trait} for trait in training_plan.trained_traits(study))
    elif stage.per == "autoencoder":
        sources = study.config.reading.autoencoders
        yield from ({**at, "autoencoder": s.name} for s in sources if s.model == model)
    elif stage.per == "drafted trait":
        yield from ({"drafted": name} for name in study.undrafted)
    elif stage.per == "corpus":
        yield from ({**at, "corpus": corpus} for corpus in training_plan.corpora(study))
    elif stage.per != "imported model" or any(s.model == model for s in study.config.published):
        yield at


def outputs() -> Iterator[tuple[Stage, str, Output]]:
    """Yield every output of every stage: stage, name in its rule, and declaration."""
    for stage in STAGES.values():
        yield from ((stage, name, output) for name, output in stage.writes.items())


def scorecard_kinds() -> dict[str, str]:
    """Return the scorecard's inputs by name, with their kinds of table."""
    return {output.scorecard: output.kind for _, _, output in outputs() if output.scorecard}


def report_kinds() -> dict[str, str]:
    """Return the report's tables by name, with their kinds."""
    return {output.report: output.kind for _, _, output in outputs() if output.report}


def judged_kinds() -> dict[str, str]:
    """Return the judged responses by their names in the score summary, with their kinds."""
    found = [stage for stage in STAGES.values() if stage.score_summary]
    return {stage.score_summary: stage.reads["responses"] for stage in found}


def figure_sections() -> dict[str, tuple[str, ...]]:
    """Return the report's headings with the names of their figures, in order."""
    sections: dict[str, tuple[str, ...]] = {}
    for stage in STAGES.values():
        if stage.section:
            name = stage.rule.removeprefix("plot_")
            sections[stage.section] = (*sections.get(stage.section, ()), name)
    return sections


def figure_names() -> tuple[str, ...]:
    """Return the names of all figures of a model, in the order of the report."""
    return tuple(name for names in figure_sections().values() for name in names)


def titles() -> dict[str, tuple[str, str]]:
    """Return the titles of arm and stage by rule, in the order of arms."""
    order = list(ARMS)
    stages = sorted(STAGES.values(), key=lambda stage: order.index(stage.arm))
    return {stage.rule: (ARMS[stage.arm], stage.title) for stage in stages}


def batch_groups() -> dict[str, bool]:
    """Return the names of all groups of nodes, with whether any of their stages runs the model."""
    found: dict[str, bool] = {}
    for stage in STAGES.values():
        for needs_model, reads in product((True, False), repeat=2):
            if group := stage.group_of(needs_model, reads):
                asks = stage.runs in ("model", "training") or (reads and stage.runs == "reading")
                found[group] = found.get(group, False) or asks
    return found


def persona_completing_rules() -> frozenset[str]:
    """Return the rules whose nodes are the last of a persona."""
    return frozenset(stage.rule for stage in STAGES.values() if stage.completes_persona)
