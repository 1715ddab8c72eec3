"""Stages of trait vectors, and of those that others have published."""

from __future__ import annotations

from typing import Final

from personae.workflow.stages.stage import Output, Stage, single

_TRAITS: Final = (
    Stage(
        "generate_trait_responses",
        "traits",
        "Generate responses",
        "trait side",
        single(
            "trait_responses",
            report="trait_responses",
            study_target=True,
            counted_as="responses under trait instructions",
        ),
        runs="model",
        work=lambda count, at: count.generate(count.trait(at)),
        group="persona",
    ),
    Stage(
        "judge_trait_responses",
        "traits",
        "Judge trait and coherence",
        "trait side",
        single("scores"),
        {"responses": "trait_responses", "calibration": "calibration"},
        runs="judge",
        work=lambda count, at: count.judge(count.trait(at), 2),
        group="persona",
        group_without_model="persona_judging",
        score_summary="traits",
    ),
    Stage(
        "extract_trait_activations",
        "traits",
        "Extract activations",
        "trait side",
        single("activations", study_target=True),
        {"responses": "trait_responses"},
        runs="model",
        work=lambda count, at: count.extract(count.trait(at), 3),
        group="persona",
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
    Stage(
        "project_trait_responses",
        "traits",
        "Project responses on the axis",
        "trait part",
        single("projections"),
        {"responses": "trait_responses", "activations": "activations", "directions": "directions"},
    ),
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
