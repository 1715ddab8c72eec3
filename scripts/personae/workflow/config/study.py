"""A study together with what it selects from the library and the model table."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from personae.base.field_types import LayerBand
from personae.data.model_table import ModelRow
from personae.endpoints.endpoint_settings import Endpoint
from personae.personas.library import (
    AuditorPrompt,
    CapabilityItem,
    ClosedItem,
    Domain,
    DriftConversation,
    HarmProbe,
    JailbreakConversation,
    Library,
    Question,
    Role,
    SpaceTrait,
    Trait,
    expand_trait,
    load_auditor,
)
from personae.personas.library.capability_items import KINDS
from personae.workflow.config.experiment_sections import SimulatedSection
from personae.workflow.config.study_config import StudyConfig

_T = TypeVar("_T")


@dataclass(frozen=True)
class Study:
    """A checked study. "all" expands in the order of the library's files.

    Attributes
    ----------
    config
        The validated configuration.
    library
        The whole persona library.
    models
        The whole model table, by name.
    base
        Project root, to which all paths are relative.
    """

    config: StudyConfig
    library: Library
    models: Mapping[str, ModelRow]
    base: Path

    @cached_property
    def role_names(self) -> list[str]:
        """Roles of the study, without the default Assistant."""
        names = expand(self.config.roles.names, self.library.roles)
        return spread(names, self.library.roles, self.config.roles.count)

    @cached_property
    def trait_names(self) -> list[str]:
        """Traits of the study that have a file; those that are only described come last."""
        section = self.config.traits
        named = expand(section.names, self.library.traits)
        names = dict.fromkeys([*named, *section.described])
        return [name for name in names if name in self.library.traits]

    @cached_property
    def undrafted(self) -> list[str]:
        """Traits that the study describes and the library lacks; a run drafts them first."""
        return [n for n in self.config.traits.described if n not in self.library.traits]

    @cached_property
    def space(self) -> dict[str, Trait]:
        """Traits of the trait space that the study includes, expanded, by name."""
        section = self.config.trait_space
        if (names := section.names) == "none":
            return {}
        library = self.library
        return {
            name: expand_trait(library.trait_space[name], library.trait_space_templates)
            for name in spread(
                expand(names, library.trait_space), library.trait_space, section.count
            )
        }

    @cached_property
    def space_names(self) -> list[str]:
        """Traits of the trait space that the study includes."""
        return list(self.space)

    @property
    def model_names(self) -> list[str]:
        """Chat models of the study."""
        return list(self.config.models)

    @cached_property
    def roles(self) -> dict[str, Role]:
        """Roles of the study by name, without the default Assistant."""
        return {name: self.library.roles[name] for name in self.role_names}

    @cached_property
    def traits(self) -> dict[str, Trait]:
        """Traits of the study by name."""
        return {name: self.library.traits[name] for name in self.trait_names}

    @cached_property
    def extraction_questions(self) -> list[Question]:
        """Questions on which role vectors are extracted."""
        return take(self.library.extraction, self.config.roles.questions.extraction)

    @cached_property
    def heldout_questions(self) -> list[Question]:
        """Questions on which directions from roles are evaluated."""
        return take(self.library.heldout, self.config.roles.questions.heldout)

    @cached_property
    def extraction_texts(self) -> list[list[str]]:
        """Name and text of every extraction question: one list for the records of all nodes."""
        return [[question.id, question.text] for question in self.extraction_questions]

    @cached_property
    def heldout_texts(self) -> list[list[str]]:
        """Name and text of every held-out question."""
        return [[question.id, question.text] for question in self.heldout_questions]

    @cached_property
    def capped_roles(self) -> dict[str, Role]:
        """Roles whose adherence is measured under capping."""
        names = expand(self.config.capping.roles, self.role_names)
        return {name: self.library.roles[name] for name in names}

    @cached_property
    def susceptible_roles(self) -> dict[str, Role]:
        """Roles that are steered along the axis; none without that section."""
        if (section := self.config.susceptibility) is None:
            return {}
        roles = self.library.roles
        names = expand(section.roles, [name for name, role in roles.items() if role.susceptible])
        return {name: roles[name] for name in spread(names, roles, section.count)}

    @property
    def keeps_activations(self) -> bool:
        """Whether the activations of all rollouts are kept."""
        return self.config.activations.keep == "all"

    @property
    def model_work(self) -> frozenset[str]:
        """What nodes may do, as `personae.workflow.stages.stage.Runs`, that asks a model here."""
        asking = {
            "model": True,
            "judge": self.config.judging.needs_model,
            "reading": not self.keeps_activations,
            "training": True,
        }
        return frozenset(work for work, asks in asking.items() if asks)

    def kept_layers(self, model: str) -> list[int]:
        """Return the layers at which every role rollout is kept: the middle one, always."""
        listed = self.config.activations.layers
        if listed is None:
            listed = [edge for band in self.bands(model)[:1] for edge in band]
        middle = self.models[model].middle_layer
        return sorted({*listed, *([] if middle is None else [middle])})

    @property
    def jailbreaks(self) -> dict[str, JailbreakConversation]:
        """Persona jailbreaks that are replayed under capping."""
        names = expand(self.config.capping.conversations, self.library.jailbreak)
        return {name: self.library.jailbreak[name] for name in names}

    @property
    def drift_conversations(self) -> dict[str, DriftConversation]:
        """Transcripts that are projected and replayed."""
        names = expand(self.config.drift.conversations, self.library.drift)
        return {name: self.library.drift[name] for name in names}

    @property
    def simulated(self) -> SimulatedSection | None:
        """Settings of the simulated conversations; None if there are none."""
        section = self.config.drift.simulated
        return None if section is None or section.domains == "none" else section

    @cached_property
    def simulated_domains(self) -> dict[str, Domain]:
        """Domains of the simulated conversations, with the personas and topics that are used."""
        if (section := self.simulated) is None:
            return {}
        domains = self.library.domains
        return {
            name: domains[name].first(section.personas, section.topics)
            for name in expand(section.domains, domains)
        }

    @property
    def auditor(self) -> Endpoint | None:
        """The endpoint that plays the user; None when no conversations are simulated."""
        name = self.config.assignments.auditor
        return self.config.endpoints[name] if self.simulated and name else None

    @cached_property
    def auditor_prompt(self) -> AuditorPrompt:
        """Prompt of the endpoint that plays the user."""
        return load_auditor(self.config.library.conversations, self.base)

    @property
    def closed_answers(self) -> list[ClosedItem]:
        """Closed questions that measure the cost of capping."""
        return take(self.library.closed, self.config.capping.closed_answers)

    @property
    def capability_items(self) -> list[CapabilityItem]:
        """Items of every kind that measure the cost of capping."""
        items, count = self.library.capability, self.config.capability.items
        return [
            item
            for kind in KINDS
            for item in take([item for item in items if item.kind == kind], count)
        ]

    @property
    def endpoint_names(self) -> list[str]:
        """Endpoints that the jobs of the study use, in the order of its configuration."""
        config = self.config
        used: set[str | None] = {*config.judging.names, *config.assignments.generators.values()}
        if self.simulated:
            used.add(config.assignments.auditor)
        if self.undrafted:
            used.add(config.assignments.artifact_writer)
        return [name for name in config.endpoints if name in used]

    @property
    def chat_judges(self) -> dict[str, float]:
        """Endpoints that judge, with the share of responses that each of them scores."""
        shares = self.config.judging.shares
        return {name: share for name, share in shares.items() if name in self.config.endpoints}

    @property
    def card_scope(self) -> dict[str, list[str]] | None:
        """The part of the library that its card embeds and judges; None for all of it."""
        if self.config.report.library_card == "all":
            return None
        return {
            "roles": self.role_names,
            "traits": self.trait_names,
            "trait_space": self.space_names,
            "extraction": [question.id for question in self.extraction_questions],
            "heldout": [question.id for question in self.heldout_questions],
        }

    def bands(self, model: str) -> list[LayerBand]:
        """Return the bands of layers to cap in ``model``: the study's, or its own."""
        return list(self.config.capping.bands or self.models[model].capping_bands)

    def sweep_questions(self, trait: str) -> int:
        """Return how many evaluation questions of a trait choose its layer, the first ones.

        # ASSUME: a trait with fewer than the layer sweep and the later stages need together shares
        # them in the same proportion, so that some are left on which no layer was chosen.
        """
        there = len(self.traits[trait].questions.evaluation)
        asked = self.config.layer_sweep.questions
        others = max(self.config.steering.questions, self.config.monitoring.questions)
        if there >= asked + others:
            return asked
        return max(1, min(there - 1, there * asked // (asked + others)))

    def candidate_layers(self, model: str) -> list[int]:
        """Return the layers of the layer sweep in ``model``, ascending."""
        return self.config.layer_sweep.candidates(self.models[model].n_layers)


def expand(names: str | Sequence[str], known: Iterable[str]) -> list[str]:
    """Return the listed names, or all the known ones in their order."""
    return list(known) if names == "all" else list(names)


def spread(
    names: Sequence[str], known: Mapping[str, Role | SpaceTrait | HarmProbe], count: int | None
) -> list[str]:
    """Return ``count`` names, taken in turn from every category, in the order of ``names``."""
    if count is None or count >= len(names):
        return list(names)
    seen: Counter[str] = Counter()
    turns: dict[str, int] = {}
    for name in names:
        category = known[name].category
        turns[name] = seen[category]
        seen[category] += 1
    # Sorting is stable: all first ones of a category come before all second ones.
    chosen = set(sorted(names, key=turns.__getitem__)[:count])
    return [name for name in names if name in chosen]


def own_first(labelled: Sequence[str], own: Sequence[str], least: int) -> list[str]:
    """Return the labelled names that are a study's own, and others up to ``least``, in order."""
    chosen = {name for name in labelled if name in own}
    for name in labelled:
        if len(chosen) < least:
            chosen.add(name)
    return [name for name in labelled if name in chosen]


def take(items: Sequence[_T], count: int | None) -> list[_T]:
    """Return the first ``count`` items, or all."""
    return list(items[:count])
