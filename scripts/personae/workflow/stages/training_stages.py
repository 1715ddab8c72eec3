"""Stages of fine-tuning on training data of traits, and of screening such data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from personae.workflow.stages.stage import Output, Stage, single

if TYPE_CHECKING:
    from personae.workflow.config import Study


def trains(study: Study) -> bool:
    """Whether the study trains adapters."""
    return study.config.finetuning.traits != "none"


def screens(study: Study) -> bool:
    """Whether the study screens training data."""
    return trains(study) or bool(study.config.screening.files)


TRAINING_STAGES: Final = (
    Stage(
        "train_adapter",
        "finetuning",
        "Train an adapter",
        "adapter",
        {"adapter": Output("adapter"), "losses": Output("training_losses")},
        {"vectors": "trait_vectors", "layer": "steering_effects"},
        runs="training",
        work=lambda count, at: count.train(at),
        group="training",
    ),
    Stage(
        "answer_finetuned",
        "finetuning",
        "Ask the adapters",
        "trained trait",
        {
            "responses": Output(
                "finetuned_responses",
                report="finetuned_responses",
                counted_as="responses of fine-tuned models",
            ),
            "prompts": Output("activations"),
            "closed": Output("closed_answers"),
        },
        {"vectors": "trait_vectors", "layers": "steering_effects"},
        runs="training",
        work=lambda count, at: count.generate(count.finetuned(at)),
        group="training",
    ),
    Stage(
        "judge_finetuned",
        "finetuning",
        "Judge trait and coherence",
        "trained trait",
        single("scores", report="finetuned_scores"),
        {"responses": "finetuned_responses", "calibration": "calibration"},
        runs="judge",
        work=lambda count, at: count.judge(count.finetuned(at), 2),
        group="finetuning",
        score_summary="finetuning",
    ),
    Stage(
        "measure_finetuning",
        "finetuning",
        "Measure shifts and defences",
        "model",
        {
            "shifts": Output("finetuning_shifts", scorecard="finetuning_shifts", arm_target=True),
            "correlations": Output("finetuning_correlations", scorecard="finetuning_correlations"),
            "defences": Output("finetuning_defences", scorecard="finetuning_defences"),
        },
        {
            "responses": "finetuned_responses",
            "scores": "scores",
            "prompts": "activations",
            "closed": "closed_answers",
            "vectors": "trait_vectors",
            "layers": "steering_effects",
        },
        only_if=trains,
    ),
    Stage(
        "screen_training_data",
        "finetuning",
        "Project training data",
        "corpus",
        {"answers": Output("own_answers"), "rows": Output("screened_rows")},
        {"vectors": "trait_vectors", "layers": "steering_effects"},
        runs="model",
        work=lambda count, at: count.screen(at),
        group="screening",
    ),
    Stage(
        "summarize_screening",
        "finetuning",
        "Flag training data",
        "model",
        {
            "summary": Output("screening", scorecard="screening", arm_target=True),
            "flagged": Output("flagged_rows"),
        },
        {"rows": "screened_rows", "shifts": "finetuning_shifts"},
        only_if=screens,
    ),
)
