"""Stages from a model to its persona space: weights, judges, roles, traits, axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from personae.workflow.stages.rollout_stages import extracts, generates, judges
from personae.workflow.stages.stage import Output, Stage, single

if TYPE_CHECKING:
    from personae.workflow.config import Study


def has_several_models(study: Study) -> bool:
    """Whether a study has models to compare with each other."""
    return len(study.model_names) > 1


_MODELS: Final = (
    Stage(
        "prepare_model",
        "models",
        "Prepare a model",
        "weights",
        {"manifest": Output("manifest"), "weights": Output("weights")},
    ),
    Stage(
        "draft_trait",
        "library",
        "Draft a trait",
        "drafted trait",
        single("trait"),
    ),
    Stage(
        "write_library_card",
        "library",
        "Check the persona library",
        "study",
        single("library_card", report="library_card"),
        runs="judge",
    ),
)

_JUDGES: Final = (
    Stage(
        "calibrate_judges",
        "judging",
        "Calibrate and measure the judges",
        "model",
        {
            "calibration": Output("calibration"),
            "scores": Output("labelled_scores"),
            "agreement": Output(
                "agreement", scorecard="agreement", report="agreement", arm_target=True
            ),
            "confusion": Output("confusion", report="confusion"),
            "pairs": Output("judge_pairs", report="judge_pairs"),
            "bias": Output("judge_bias", report="judge_bias"),
        },
        runs="judge",
        work=lambda count, _: count.calibrate(),
    ),
    Stage(
        "summarize_scores",
        "judging",
        "Count scores and compare judges",
        "model",
        {
            "summary": Output("score_summary", report="score_summary"),
            "pairs": Output("judge_pairs", report="study_pairs"),
            "confusion": Output("confusion", report="study_confusion"),
        },
        {"": "scores", "labelled_scores": "labelled_scores"},
    ),
)

_ROLES: Final = (
    generates(
        "generate_role_responses",
        "roles",
        "role",
        lambda count, at: count.role(at),
        "responses in roles and as the default Assistant",
    ),
    judges(
        "judge_role_responses",
        "roles",
        "Judge role adherence",
        "played role",
        lambda count, at: count.role(at),
        rubrics=lambda count, at: 1,
    ),
    extracts(
        "extract_role_activations",
        "roles",
        "role",
        lambda count, at: count.role(at),
        spans=lambda count, at: 1,
    ),
    Stage(
        "compute_role_vectors",
        "roles",
        "Average into role vectors",
        "role",
        {
            "vectors": Output("role_vectors", arm_target=True),
            "sums": Output("activation_sums"),
            "kept": Output("kept_activations"),
        },
        {"responses": "role_responses", "scores": "scores", "activations": "activations"},
        runs="reading",
        work=lambda count, at: count.reduce_role(at),
        group="vectors",
        group_reading="reading",
        completes_persona=True,
    ),
    Stage(
        "project_role_responses",
        "roles",
        "Project responses on the axis",
        "role part",
        single("projections"),
        {"responses": "role_responses", "activations": "activations", "directions": "directions"},
        runs="reading",
        work=lambda count, at: count.project_roles(at),
    ),
)

_AXIS: Final = (
    Stage(
        "compute_axis",
        "axis",
        "Compute the Assistant Axis",
        "model",
        {
            "directions": Output(
                "directions", scorecard="directions", report="directions", arm_target=True
            ),
            "role_vectors": Output("role_vectors", scorecard="role_vectors", report="role_vectors"),
        },
        {"vectors": "role_vectors", "default": "activation_sums"},
    ),
    Stage(
        "analyze_persona_space",
        "axis",
        "Analyze the persona space",
        "model",
        {
            "layers": Output("space_layers", scorecard="space_layers", arm_target=True),
            "components": Output("space_components", report="space_components"),
            "coordinates": Output(
                "space_coordinates", scorecard="space_coordinates", report="space_coordinates"
            ),
            "cosines": Output("cosines", scorecard="role_cosines"),
            "loadings": Output("role_loadings", scorecard="role_loadings"),
        },
        {
            "role_vectors": "role_vectors",
            "directions": "directions",
            "sums": "activation_sums",
            "kept": "kept_activations",
        },
    ),
    Stage(
        "measure_separation",
        "axis",
        "Separate the default Assistant from roles",
        "model",
        single("separation", scorecard="separation", arm_target=True),
        {"projections": "projections"},
    ),
    Stage(
        "measure_heldout_roles",
        "axis",
        "Judge roles by an axis without them",
        "model",
        single("heldout_roles", scorecard="heldout_roles", arm_target=True),
        {
            "role_vectors": "role_vectors",
            "kept": "kept_activations",
        },
    ),
    Stage(
        "compare_models",
        "axis",
        "Compare the models' persona spaces",
        "study",
        single("model_comparison", arm_target=True, study_target=True),
        {"cosines": "cosines", "loadings": "role_loadings"},
        only_if=has_several_models,
    ),
)

PERSONA_STAGES: Final = (*_MODELS, *_JUDGES, *_ROLES, *_AXIS)
