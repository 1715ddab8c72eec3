"""Stages of trait vectors, and of published vectors."""

from __future__ import annotations

from typing import Final

from personae.workflow.stages.rollout_stages import extracts, generates, judges, projects
from personae.workflow.stages.stage import Output, Stage, single

_TRAITS: Final = (
    generates(
        "generate_trait_responses",
        "traits",
        "trait side",
        lambda count, at: count.trait(at),
        "responses under trait instructions",
    ),
    judges(
        "judge_trait_responses",
        "traits",
        "Judge trait and coherence",
        "trait side",
        lambda count, at: count.trait(at),
        rubrics=2,
    ),
    extracts(
        "extract_trait_activations",
        "traits",
        "trait side",
        lambda count, at: count.trait(at),
        spans=3,
    ),
    Stage(
        "compute_trait_vectors",
        "traits",
        "Compute trait vectors",
        "any trait",
        {
            "vectors": Output("trait_vectors", scorecard="trait_vectors", study_target=True),
            "pairs": Output("trait_pairs", scorecard="trait_pairs"),
        },
        {
            f"{polarity}_{name}": kind
            for polarity in ("positive", "negative")
            for name, kind in (
                ("responses", "trait_responses"),
                ("scores", "scores"),
                ("activations", "activations"),
            )
        },
        group="vectors",
        completes_persona=True,
    ),
    projects("project_trait_responses", "traits", "trait part"),
    Stage(
        "compare_trait_vectors",
        "traits",
        "Compare trait vectors",
        "model",
        single("cosines", scorecard="trait_cosines", arm_target=True),
        {"vectors": "trait_vectors", "directions": "directions"},
    ),
)

_PUBLISHED: Final = (
    Stage(
        "import_published_vectors",
        "published",
        "Import published vectors",
        "imported model",
        {
            "directions": Output("directions"),
            "role_vectors": Output("role_vectors"),
            "trait_vectors": Output("trait_vectors"),
            "floors": Output("floors"),
            "published_cosines": Output("published_cosines", study_target=True),
        },
        {
            "directions": "directions",
            "role_vectors": "role_vectors",
            "trait_vectors": "trait_vectors",
        },
    ),
)

TRAIT_STAGES: Final = (*_TRAITS, *_PUBLISHED)
