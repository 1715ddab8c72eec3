"""The parameters of each node of a study: exactly what it depends on.

The rules hand these records to their nodes as ``params``; Snakemake reruns a node when its record
changes. A record holds the persona's own data and not the whole configuration, so that editing one
role reruns one role. Everything here is plain data that survives being written down.
"""

from __future__ import annotations

from personae.workflow.node_params.capping_params import (
    capability_arms,
    capability_items,
    capability_settings,
    capping_arms,
    capping_personas,
    capping_rollouts,
    capping_settings,
    closed_answers,
    jailbreaks,
)
from personae.workflow.node_params.case_params import case_record
from personae.workflow.node_params.drift_params import drift_cap, drift_conversations, simulation
from personae.workflow.node_params.finetuning_params import (
    finetuned_answers,
    screening,
    training,
)
from personae.workflow.node_params.harm_params import harm_arms, harm_link, harm_record
from personae.workflow.node_params.judging_params import (
    card_judging,
    deciding_judge,
    judged_kinds,
    judged_roles,
    judged_trait,
    judged_traits,
    judging,
    measuring,
    role_record,
)
from personae.workflow.node_params.persona_params import (
    compared_models,
    engine_record,
    generator,
    kept_of_roles,
    role_rollouts,
    space_filter,
    trait_filter,
    trait_rollouts,
    trait_rubrics,
    trait_spans,
)
from personae.workflow.node_params.susceptibility_params import susceptibility
from personae.workflow.node_params.sweep_params import (
    compared_arms,
    layer_sweep,
    monitoring,
    partner,
    steering,
)

__all__ = [
    "capability_arms",
    "capability_items",
    "capability_settings",
    "capping_arms",
    "capping_personas",
    "capping_rollouts",
    "capping_settings",
    "card_judging",
    "case_record",
    "closed_answers",
    "compared_arms",
    "compared_models",
    "deciding_judge",
    "drift_cap",
    "drift_conversations",
    "engine_record",
    "finetuned_answers",
    "generator",
    "harm_arms",
    "harm_link",
    "harm_record",
    "jailbreaks",
    "judged_kinds",
    "judged_roles",
    "judged_trait",
    "judged_traits",
    "judging",
    "kept_of_roles",
    "layer_sweep",
    "measuring",
    "monitoring",
    "partner",
    "role_record",
    "role_rollouts",
    "screening",
    "simulation",
    "space_filter",
    "steering",
    "susceptibility",
    "training",
    "trait_filter",
    "trait_rollouts",
    "trait_rubrics",
    "trait_spans",
]
