"""Stages of trait vectors, and of published vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from personae.workflow.stages.rollout_stages import extracts, generates, judges
from personae.workflow.stages.stage import Output, Stage, single

if TYPE_CHECKING:
    from personae.workflow.config import Study

_LEAST_TRAITS: Final = 3


def has_trait_space(study: Study) -> bool:
    """Whether a study has enough traits for a trait space."""
    return len(study.space_names) >= _LEAST_TRAITS


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
        rubrics=lambda count, at: count.rubrics(at),
    ),
    extracts(
        "extract_trait_activations",
        "traits",
        "trait side",
        lambda count, at: count.trait(at),
        spans=lambda count, at: count.spans(at),
    ),
    Stage(
        "compute_trait_vectors",
        "traits",
        "Compute trait vectors",
        "trait",
        {
            "vectors": Output(
                "trait_vectors",
                scorecard="trait_vectors",
                report="trait_vectors",
                study_target=True,
            ),
            "pairs": Output("trait_pairs", scorecard="trait_pairs"),
        },
        {"responses": "trait_responses", "scores": "scores", "activations": "activations"},
        runs="reading",
        work=lambda count, at: count.reduce_trait(at),
        group="vectors",
        group_reading="reading",
        completes_persona=True,
    ),
    Stage(
        "compute_space_vectors",
        "traits",
        "Compute vectors of the trait space and project its responses",
        "trait part",
        {
            "vectors": Output("trait_vectors", report="space_vectors", study_target=True),
            "projections": Output("projections"),
            "sums": Output("trait_sums"),
        },
        {
            "responses": "trait_responses",
            "scores": "scores",
            "activations": "activations",
            "directions": "directions",
        },
        runs="reading",
        work=lambda count, at: count.reduce_space(at),
    ),
    Stage(
        "measure_trait_geometry",
        "traits",
        "Hold cosines of traits against a null",
        "model",
        {
            "pairs": Output("trait_pair_cosines", scorecard="trait_pair_cosines"),
            "positions": Output("trait_positions", arm_target=True),
        },
        {"vectors": "trait_vectors", "directions": "directions", "roles": "role_vectors"},
    ),
    Stage(
        "compare_trait_vectors",
        "traits",
        "Compare trait vectors",
        "model",
        single("cosines", scorecard="trait_cosines", arm_target=True),
        {"vectors": "trait_vectors", "directions": "directions"},
    ),
    Stage(
        "compare_trait_space",
        "traits",
        "Compare trait space and axis",
        "model",
        {
            "cosines": Output(
                "trait_space_cosines", scorecard="trait_space_cosines", arm_target=True
            ),
            "components": Output("trait_space_components", scorecard="trait_space_components"),
            "plane": Output("trait_space_plane"),
        },
        {"sums": "trait_sums", "directions": "directions", "role_vectors": "role_vectors"},
        only_if=has_trait_space,
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
