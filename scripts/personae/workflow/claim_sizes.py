"""Sizes of a study, as far as the units of its claims depend on them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final

from personae.workflow import node_params
from personae.workflow.config.study import Study

_EVERY_QUESTION: Final = 240  # shared questions of the roles in the library
_OF_A_TRAIT: Final = 20  # extraction questions of a trait in the library
_GRADED: Final = 8  # graded system prompts of a trait in the library
_TURNS: Final = 4  # user turns of a jailbreak conversation
_BANDS: Final = 3
_NEUTRAL: Final = 5  # system prompts of the default Assistant
_LABELLED: Final = 60  # labelled responses of a trait in the library
_WITH_DATA: Final = 4  # traits with training data in the library
_CASES: Final = 8
_CASE_TURNS: Final = 6
_ENDS: Final = 3  # traits of an end of the axis among those of the demo
_FOLDS: Final = 10
_EXACT: Final = 160  # capability items of the library
_PROBES: Final = 64
_SWEPT: Final = 12
_TUNED: Final = 20


@dataclass(frozen=True)
class Sizes:
    """Numbers of units of a study, one field per kind of unit that a claim's rule depends on.

    An arm that is switched off counts with its default sizes: its claims are not testable.
    """

    roles: int
    role_prompts: int
    role_questions: int
    heldout_questions: int
    traits: int
    pairs: int
    contrast_questions: int
    labelled: int
    space_traits: int
    space_ends: int
    space_folds: int
    swept_layers: int
    steered_questions: int
    steered_samples: int
    coefficients: tuple[float, ...]
    random_directions: int
    compared_questions: int
    conditions: int
    shots: int
    monitored_questions: int
    monitored_samples: int
    adapters: int
    tuned_traits: int
    tuned_questions: int
    screened_rows: int
    capped_directions: int
    capped_roles: int
    capped_questions: int
    conversations: int
    turns: int
    settings: int
    closed: int
    exact_items: int
    neutral_prompts: int
    neutral_questions: int
    speakers: int
    speaker_prompts: int
    personas: int
    probes: int
    cases: int
    case_turns: int
    domains: int
    simulated_talks: int
    simulated_turns: int
    linked_roles: int
    first_turns: int
    link_probes: int

    @classmethod
    def of(cls, study: Study) -> Sizes:
        """Return the sizes of a study."""
        config = study.config
        roles, traits = config.roles, config.traits
        return cls(
            roles=len(study.role_names),
            role_prompts=roles.prompts,
            role_questions=roles.questions.extraction or _EVERY_QUESTION,
            heldout_questions=roles.questions.heldout or 0,
            traits=len(study.trait_names),
            pairs=traits.pairs,
            contrast_questions=traits.questions.extraction or _OF_A_TRAIT,
            labelled=_LABELLED,
            **_trait_sizes(study),
            **_capping_sizes(study),
            **_talk_sizes(study),
        )

    def at_most(self, **most: int) -> Sizes:
        """Return the sizes with some of them cut, for a simulation that stays feasible."""
        cut = {name: min(getattr(self, name), value) for name, value in most.items()}
        return dataclasses.replace(self, **cut)


def _value(section: object, name: str, otherwise: int) -> int:
    """Return a number of a section, or another one where the section or the number is not given."""
    return int(getattr(section, name, None) or otherwise)


def _count(section: object, name: str, every: int) -> int:
    """Number of a section's members, where ``all`` stands for every one, and so does nothing."""
    names = getattr(section, name, None)
    if names is None or names == "all":
        return every
    return int(names) if isinstance(names, int) else len(names)


def _trait_sizes(study: Study) -> dict[str, Any]:
    config = study.config
    space, tuning = config.trait_space, config.finetuning
    n_space, tuned = len(study.space_names), _count(tuning, "traits", _WITH_DATA)
    return {
        "space_traits": n_space,
        "space_ends": _ENDS if n_space < 2 * _FOLDS else _FOLDS,
        "space_folds": min(_value(space, "questions", _FOLDS), _FOLDS),
        "swept_layers": _count(config.layer_sweep, "layers", _SWEPT),
        "steered_questions": config.steering.questions,
        "steered_samples": config.steering.samples,
        "coefficients": tuple(config.steering.coefficients),
        "random_directions": config.steering.random_directions,
        "compared_questions": _value(config.comparison, "questions", 1),
        "conditions": _value(config.monitoring, "prompts", _GRADED),
        "shots": _count(config.monitoring, "shots", 1),
        "monitored_questions": config.monitoring.questions,
        "monitored_samples": config.monitoring.samples,
        "adapters": _count(tuning, "levels", 1) * tuned,
        "tuned_traits": tuned,
        "tuned_questions": _value(tuning, "questions", 1),
        "screened_rows": _value(tuning, "examples", _TUNED),
    }


def _capping_sizes(study: Study) -> dict[str, Any]:
    config, capping = study.config, study.config.capping
    asked = config.susceptibility
    return {
        "capped_directions": capping.random_directions,
        "capped_roles": len(study.capped_roles),
        "capped_questions": capping.questions,
        "conversations": len(study.jailbreaks),
        "turns": _TURNS,
        "settings": _BANDS * len(capping.percentiles),
        "closed": len(study.closed_answers),
        "exact_items": _value(config.capability, "items", _EXACT),
        "neutral_prompts": _NEUTRAL,
        "neutral_questions": capping.neutral_questions,
        "speakers": _count(asked, "roles", _value(asked, "count", 1)),
        "speaker_prompts": _value(asked, "prompts", 1),
        "personas": _count(config.harm, "personas", max(len(study.jailbreaks), 1)),
        "probes": _value(config.harm, "probes", _PROBES),
    }


def _talk_sizes(study: Study) -> dict[str, Any]:
    config = study.config
    drifting = [c for c in study.drift_conversations.values() if c.kind == "drifting"]
    simulated = study.simulated
    talks = _value(simulated, "personas", 1) * _value(simulated, "topics", 1)
    link = node_params.harm_link(study)
    return {
        "cases": _count(config.cases, "conversations", _CASES),
        "case_turns": _value(config.cases, "turns", _CASE_TURNS),
        "domains": len({c.domain for c in drifting}),
        "simulated_talks": talks,
        "simulated_turns": _value(simulated, "turns", 2),
        "linked_roles": len(link["roles"]) if link else 0,
        "first_turns": link["prompts"] * len(link["questions"]) if link else 0,
        "link_probes": len(link["probes"]) if link else 0,
    }


def claim_sizes(study: Study) -> dict[str, int | list[float]]:
    """Return the sizes of a study as plain values, by which measured error rates are found."""
    sizes = dataclasses.asdict(Sizes.of(study))
    return {**sizes, "coefficients": list(sizes["coefficients"])}
