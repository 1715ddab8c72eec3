"""Stages that use the vectors: steering, monitoring, capping, drift."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from personae.workflow.stages.stage import Output, Stage, single

if TYPE_CHECKING:
    from personae.workflow.config import Study


def compares(study: Study) -> bool:
    """Whether the study compares ways of steering."""
    return study.config.comparison.questions > 0 and bool(study.trait_names)


_STEERING: Final = (
    Stage(
        "sweep_trait_layers",
        "steering",
        "Steer at every candidate layer",
        "trait",
        single("steered_responses", report="sweep_responses"),
        {"vectors": "trait_vectors", "default": "activation_sums"},
        runs="model",
        work=lambda count, at: count.generate(count.layer_sweep(at)),
        group="steering",
        group_without_model="sweep",
    ),
    Stage(
        "judge_layer_sweep",
        "steering",
        "Judge the layer sweep",
        "trait",
        single("scores", report="sweep_scores"),
        {"responses": "steered_responses", "calibration": "calibration"},
        runs="judge",
        work=lambda count, at: count.judge(count.layer_sweep(at), 2),
        group="steering",
        group_without_model="choice",
        score_summary="layer_sweep",
    ),
    Stage(
        "choose_trait_layer",
        "steering",
        "Choose the layer",
        "trait",
        single("steering_effects", scorecard="sweep_effects", report="sweep_effects"),
        {"responses": "steered_responses", "scores": "scores"},
        group="steering",
        group_without_model="choice",
    ),
    Stage(
        "analyze_layer_choice",
        "steering",
        "Question the choice of the layer",
        "trait",
        single("layer_choices", scorecard="layer_choices"),
        {
            "responses": "steered_responses",
            "scores": "scores",
            "vectors": "trait_vectors",
            "default": "activation_sums",
            "sides": "trait_responses",
        },
        runs="model",
        work=lambda count, at: count.selectors(at),
        group="layer_choice",
    ),
    Stage(
        "steer_trait",
        "steering",
        "Steer at the chosen layer",
        "trait",
        single(
            "steered_responses",
            scorecard="steered_responses",
            report="steered_responses",
            counted_as="steered responses",
        ),
        {"vectors": "trait_vectors", "layer": "steering_effects"},
        runs="model",
        work=lambda count, at: count.generate(count.steering(at)),
        group="steering",
    ),
    Stage(
        "judge_steering",
        "steering",
        "Judge steered responses",
        "trait",
        single("scores", scorecard="steered_scores", report="steered_scores"),
        {"responses": "steered_responses", "calibration": "calibration"},
        runs="judge",
        work=lambda count, at: count.judge(count.steering(at), 2),
        group="steering",
        group_without_model="effects",
        score_summary="alpha_sweep",
    ),
    Stage(
        "summarize_steering",
        "steering",
        "Average effects by coefficient",
        "trait",
        single(
            "steering_effects",
            scorecard="steering_effects",
            report="steering_effects",
            arm_target=True,
        ),
        {"responses": "steered_responses", "scores": "scores"},
        group="steering",
        group_without_model="effects",
    ),
)

_COMPARISON: Final = (
    Stage(
        "steer_compared_arms",
        "steering",
        "Steer in several ways",
        "trait",
        {
            "responses": Output(
                "compared_responses",
                report="compared_responses",
                counted_as="responses under ways of steering that are compared",
            ),
            "closed": Output("compared_closed"),
        },
        {"vectors": "trait_vectors", "layer": "steering_effects"},
        runs="model",
        work=lambda count, at: count.generate(count.compared(at)),
        group="comparison",
        only_if=compares,
    ),
    Stage(
        "judge_compared_arms",
        "steering",
        "Judge ways of steering",
        "trait",
        single("scores", report="comparison_scores"),
        {"responses": "compared_responses", "calibration": "calibration"},
        runs="judge",
        work=lambda count, at: count.judge(count.compared(at), 2),
        group="comparison",
        group_without_model="comparison_judging",
        score_summary="comparison",
        only_if=compares,
    ),
    Stage(
        "summarize_compared_arms",
        "steering",
        "Compare ways of steering",
        "model",
        {
            "scored": Output("compared_scores", scorecard="compared_scores"),
            "comparison": Output(
                "steering_comparison", scorecard="steering_comparison", arm_target=True
            ),
        },
        {"responses": "compared_responses", "scores": "scores", "closed": "compared_closed"},
        only_if=compares,
    ),
)

_MONITORING: Final = (
    Stage(
        "generate_monitored_responses",
        "monitoring",
        "Generate responses",
        "trait",
        single(
            "monitored_responses", report="monitored_responses", counted_as="monitored responses"
        ),
        runs="model",
        work=lambda count, at: count.generate(count.monitoring(at)),
        group="monitoring",
    ),
    Stage(
        "judge_monitored_responses",
        "monitoring",
        "Judge trait and coherence",
        "trait",
        single("scores", report="monitored_scores"),
        {"responses": "monitored_responses", "calibration": "calibration"},
        runs="judge",
        work=lambda count, at: count.judge(count.monitoring(at), 2),
        group="monitoring",
        group_without_model="monitoring_judging",
        score_summary="monitoring",
    ),
    Stage(
        "project_last_prompts",
        "monitoring",
        "Project the last prompt token",
        "trait",
        single("prompt_projections"),
        {"responses": "monitored_responses", "vectors": "trait_vectors"},
        runs="model",
        work=lambda count, at: count.project(count.monitoring(at)),
        group="monitoring",
    ),
    Stage(
        "measure_monitoring",
        "monitoring",
        "Correlate projection and score",
        "trait",
        {
            "correlations": Output("monitoring", scorecard="monitoring", arm_target=True),
            "alerts": Output("monitoring_alerts", scorecard="monitoring_alerts"),
            "points": Output("monitoring_points", scorecard="monitoring_points"),
        },
        {
            "responses": "monitored_responses",
            "scores": "scores",
            "projections": "prompt_projections",
            "layer": "steering_effects",
        },
        group="correlations",
    ),
)

_CAPPING: Final = (
    Stage(
        "calibrate_floors",
        "capping",
        "Calibrate floors",
        "model",
        single("floors", scorecard="floors"),
        {"roles": "projections", "traits": "projections"},
    ),
    Stage(
        "cap_responses",
        "capping",
        "Generate capped responses",
        "model",
        single(
            "capped_responses",
            scorecard="capped_responses",
            report="capped_responses",
            counted_as="responses with and without capping",
        ),
        {"directions": "directions", "floors": "floors"},
        runs="model",
        work=lambda count, at: count.generate(count.capping(at)),
        group="capping",
    ),
    Stage(
        "judge_capping",
        "capping",
        "Judge capped responses",
        "model",
        single("scores", scorecard="capped_scores", report="capped_scores"),
        {"responses": "capped_responses", "calibration": "calibration"},
        runs="judge",
        work=lambda count, at: count.judge(count.capping(at), 2),
        group="capping",
        group_without_model="capping_judging",
        score_summary="capping",
    ),
    Stage(
        "measure_capping_cost",
        "capping",
        "Measure what capping costs",
        "model",
        single("capping_costs", scorecard="capping_costs"),
        {"directions": "directions", "floors": "floors", "neutral": "role_responses"},
        runs="model",
        work=lambda count, _: count.cost(),
    ),
    Stage(
        "measure_capability",
        "capping",
        "Answer capability items",
        "model",
        single("capability_responses", counted_as="answers to capability items"),
        {"directions": "directions", "floors": "floors"},
        runs="model",
        work=lambda count, at: count.generate(count.capability(at)),
        group="capping",
    ),
    Stage(
        "summarize_capability",
        "capping",
        "Average capability items",
        "model",
        single("capability_changes", scorecard="capability_changes", arm_target=True),
        {"": "capability_responses"},
    ),
    Stage(
        "summarize_capping",
        "capping",
        "Weigh effect against cost",
        "model",
        single("capping_tradeoff", report="capping_tradeoff", arm_target=True),
        {"responses": "capped_responses", "scores": "scores", "costs": "capping_costs"},
    ),
)

_DRIFT: Final = (
    Stage(
        "replay_conversations",
        "drift",
        "Replay conversations",
        "model",
        single("replays", report="replays", counted_as="replayed conversation turns"),
        {"directions": "directions", "floors": "floors"},
        runs="model",
        work=lambda count, at: count.generate(count.replays(at)),
        group="drift",
    ),
    Stage(
        "simulate_conversations",
        "drift",
        "Simulate conversations",
        "model",
        single(
            "replays", report="simulated", counted_as="turns of conversations with a simulated user"
        ),
        runs="model",
        work=lambda count, at: count.simulate(count.simulated(at)),
        group="drift",
        only_if=lambda study: study.simulated is not None,
    ),
    Stage(
        "project_conversations",
        "drift",
        "Project every turn on the axis",
        "model",
        single("drift_projections", scorecard="drift", report="drift_projections"),
        {"directions": "directions", "replays": "replays", "simulated": "replays"},
        runs="model",
        work=lambda count, at: count.conversations(count.replays(at), count.simulated(at)),
        group="drift",
    ),
    Stage(
        "summarize_drift",
        "drift",
        "Average by turn and domain",
        "model",
        single("drift_summary", arm_target=True),
        {"": "drift_projections"},
    ),
    Stage(
        "predict_drift",
        "drift",
        "Predict turns from user messages",
        "model",
        single("drift_predictions", scorecard="drift_predictions", arm_target=True),
        {"projections": "drift_projections", "replays": "replays", "simulated": "replays"},
        runs="model",
        work=lambda count, _: count.nothing(),
        group="drift",
    ),
)

EXPERIMENT_STAGES: Final = (*_STEERING, *_COMPARISON, *_MONITORING, *_CAPPING, *_DRIFT)
