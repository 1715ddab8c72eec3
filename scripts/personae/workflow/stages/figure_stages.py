"""Stages that show results: figures, scorecard, report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from personae.workflow.stages.axis_experiment_stages import (
    has_cases,
    has_harm,
    has_harm_link,
    steers_roles,
)
from personae.workflow.stages.experiment_stages import compares
from personae.workflow.stages.persona_stages import has_several_models
from personae.workflow.stages.reading_stages import reads_features, reads_tokens
from personae.workflow.stages.stage import Output, Stage, single
from personae.workflow.stages.training_stages import screens, trains
from personae.workflow.stages.trait_stages import has_trait_space

if TYPE_CHECKING:
    from personae.workflow.config import Study


def _figure(
    name: str,
    title: str,
    section: str,
    reads: Mapping[str, str],
    only_if: Callable[[Study], bool] | None = None,
) -> Stage:
    """Return the stage that draws one figure of every model."""
    return Stage(
        f"plot_{name}",
        "report",
        title,
        "model",
        {"": Output("figure", report="figures"), "pdf": Output("pdf"), "data": Output("csv")},
        reads,
        group="figures",
        section=section,
        only_if=only_if,
    )


_SPACE: Final = "Persona space and the Assistant Axis"
_TRAITS: Final = "Trait vectors and steering"
_READING: Final = "Interpretation of vectors"
_TRAINING: Final = "Fine-tuning and training data"


def shades_tokens(study: Study) -> bool:
    """Whether the report shades tokens of transcripts by their projection."""
    return study.config.report.token_transcripts > 0


FIGURE_STAGES: Final = (
    Stage(
        "project_shown_transcripts",
        "report",
        "Project tokens of shown transcripts",
        "model",
        single("shown_tokens", report="shown_tokens"),
        {
            "steered": "steered_responses",
            "capped": "capped_responses",
            "replays": "replays",
            "simulated": "replays",
            "cases": "replays",
            "directions": "directions",
            "vectors": "trait_vectors",
            "layers": "steering_effects",
        },
        runs="model",
        work=lambda count, at: count.shown(at),
        group="shown",
        only_if=shades_tokens,
    ),
    _figure(
        "persona_space",
        "Plot the persona space",
        _SPACE,
        {"coordinates": "space_coordinates", "components": "space_components"},
    ),
    _figure("axis_layers", "Plot the axis by layer", _SPACE, {"": "space_layers"}),
    _figure("role_loadings", "Plot role loadings", _SPACE, {"": "role_loadings"}),
    _figure(
        "model_comparison",
        "Plot the comparison of models",
        _SPACE,
        {"": "model_comparison"},
        has_several_models,
    ),
    _figure("role_cosines", "Plot cosines between roles", _SPACE, {"": "cosines"}),
    _figure(
        "separation",
        "Plot the separation",
        _SPACE,
        {"separation": "separation", "projections": "projections"},
    ),
    _figure("heldout_roles", "Plot held-out roles", _SPACE, {"": "heldout_roles"}),
    _figure(
        "trait_geometry",
        "Plot cosines between traits",
        _TRAITS,
        {
            "cosines": "cosines",
            "pairs": "trait_pair_cosines",
            "positions": "trait_positions",
        },
    ),
    _figure(
        "trait_space",
        "Plot trait space and axis",
        _SPACE,
        {
            "cosines": "trait_space_cosines",
            "components": "trait_space_components",
            "plane": "trait_space_plane",
        },
        has_trait_space,
    ),
    _figure("layer_sweep", "Plot the layer sweep", _TRAITS, {"": "steering_effects"}),
    _figure("steering", "Plot steering", _TRAITS, {"": "steering_effects"}),
    _figure(
        "monitoring",
        "Plot monitoring",
        _TRAITS,
        {
            "points": "monitoring_points",
            "correlations": "monitoring",
            "alerts": "monitoring_alerts",
        },
    ),
    _figure(
        "susceptibility",
        "Plot speakers by strength",
        "Steering along the Assistant Axis",
        {"": "speaker_shares"},
        steers_roles,
    ),
    _figure(
        "trait_positions",
        "Plot the geometry of traits",
        _TRAITS,
        {"pairs": "trait_pair_cosines", "positions": "trait_positions"},
    ),
    _figure("layer_choice", "Plot the choice of layers", _TRAITS, {"": "layer_choices"}),
    _figure(
        "comparison",
        "Plot ways of steering",
        _TRAITS,
        {"": "steering_comparison"},
        compares,
    ),
    _figure("tokens", "Plot vectors as tokens", _READING, {"": "vector_tokens"}, reads_tokens),
    _figure(
        "features",
        "Plot vectors as features",
        _READING,
        {"": "vector_features"},
        reads_features,
    ),
    _figure(
        "finetuning",
        "Plot fine-tuning",
        _TRAINING,
        {
            "shifts": "finetuning_shifts",
            "correlations": "finetuning_correlations",
            "defences": "finetuning_defences",
        },
        trains,
    ),
    _figure("screening", "Plot data screening", _TRAINING, {"summary": "screening"}, screens),
    _figure(
        "capping", "Plot the trade-off of capping", "Activation capping", {"": "capping_tradeoff"}
    ),
    _figure(
        "capability",
        "Plot capability under capping",
        "Activation capping",
        {"": "capability_changes"},
    ),
    _figure(
        "harm",
        "Plot harm against capability",
        "Activation capping",
        {"": "harm_rates"},
        has_harm,
    ),
    _figure(
        "case_studies",
        "Plot case studies",
        "Case studies",
        {"turns": "case_turns", "effects": "case_effects", "tokens": "token_projections"},
        has_cases,
    ),
    _figure(
        "drift",
        "Plot drift",
        "Persona drift",
        {"projections": "drift_projections", "summary": "drift_summary"},
    ),
    _figure(
        "drift_predictions",
        "Plot the prediction of drift",
        "Persona drift",
        {"": "drift_predictions"},
    ),
    _figure(
        "harm_link",
        "Plot harm against the first turn",
        "Persona drift",
        {"points": "harm_link_points", "link": "harm_link"},
        has_harm_link,
    ),
    _figure(
        "judges",
        "Plot agreement of judges",
        "Judge quality",
        {"agreement": "agreement", "confusion": "confusion"},
    ),
    Stage(
        "build_scorecard",
        "report",
        "Score the claims",
        "study",
        single("scorecard", report="scorecard", study_target=True),
    ),
    Stage(
        "write_report",
        "report",
        "Write the report",
        "study",
        single("page", study_target=True),
    ),
)
