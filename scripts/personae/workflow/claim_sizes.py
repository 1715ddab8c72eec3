"""Sizes of a study, as far as the units of its claims depend on them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final

from personae.workflow import node_params
from personae.workflow.config.study import Study

_OF_A_TRAIT: Final = 20  # extraction questions of a trait in the library
_GRADED: Final = 8  # graded system prompts of a trait in the library
_TURNS: Final = 4  # user turns of a jailbreak conversation
_BANDS: Final = 3
_NEUTRAL: Final = 5  # system prompts of the default Assistant


@dataclass(frozen=True)
class Sizes:
    """Numbers of units of a study.

    Attributes
    ----------
    roles, traits
        Personas.
    pairs, contrast_questions
        Instruction pairs, and questions of the contrast, of each trait.
    steered_questions, coefficients
        Questions and coefficients of each trait's steering.
    random_directions
        Random directions of equal norm, for steering and for capping.
    conditions, monitored_questions
        System prompts and questions of the monitoring of each trait.
    capped_roles, capped_questions, conversations, turns
        Items of the capping evaluation.
    settings
        Bands times percentiles.
    closed
        Closed questions.
    neutral_prompts, neutral_questions
        Items of the likelihood of neutral responses.
    domains
        Pairs of a calm and a drifting conversation, one a domain.
    linked_roles, first_turns, link_probes
        Roles, the default Assistant among them, first turns of each, and harmful requests after
        each of these; 0 without that experiment.
    """

    roles: int
    traits: int
    pairs: int
    contrast_questions: int
    steered_questions: int
    coefficients: tuple[float, ...]
    random_directions: int
    conditions: int
    monitored_questions: int
    capped_roles: int
    capped_questions: int
    conversations: int
    turns: int
    settings: int
    closed: int
    neutral_prompts: int
    neutral_questions: int
    domains: int
    linked_roles: int = 0
    first_turns: int = 0
    link_probes: int = 0

    @classmethod
    def of(cls, study: Study) -> Sizes:
        """Return the sizes of a study."""
        config, capping = study.config, study.config.capping
        drifting = [c for c in study.drift_conversations.values() if c.kind == "drifting"]
        traits, monitoring = config.traits, config.monitoring
        link = node_params.harm_link(study)
        return cls(
            roles=len(study.role_names),
            traits=len(study.trait_names),
            pairs=traits.pairs,
            contrast_questions=traits.questions.extraction or _OF_A_TRAIT,
            steered_questions=config.steering.questions,
            coefficients=tuple(config.steering.coefficients),
            random_directions=config.steering.random_directions,
            conditions=monitoring.prompts or _GRADED,
            monitored_questions=monitoring.questions,
            capped_roles=len(study.capped_roles),
            capped_questions=capping.questions,
            conversations=len(study.jailbreaks),
            turns=_TURNS,
            settings=_BANDS * len(capping.percentiles),
            closed=len(study.closed_answers),
            neutral_prompts=_NEUTRAL,
            neutral_questions=capping.neutral_questions,
            domains=len({c.domain for c in drifting}),
            linked_roles=len(link["roles"]) if link else 0,
            first_turns=link["prompts"] * len(link["questions"]) if link else 0,
            link_probes=len(link["probes"]) if link else 0,
        )


def claim_sizes(study: Study) -> dict[str, int | list[float]]:
    """Return the sizes of a study as plain values, by which measured error rates are found."""
    sizes = dataclasses.asdict(Sizes.of(study))
    return {**sizes, "coefficients": list(sizes["coefficients"])}
