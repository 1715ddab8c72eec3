"""Parameters of the nodes that train adapters, measure them, and screen training data."""

from __future__ import annotations

from typing import Final

from personae.workflow.config import training_plan
from personae.workflow.config.study import Study, take
from personae.workflow.node_params.question_texts import Record, numbered

_LORA: Final = ("rank", "lora_alpha", "learning_rate", "warmup_steps", "epochs", "batch")


def training(study: Study, adapter: str) -> Record:
    """Training data, hyperparameters, and what is done to the residual stream meanwhile."""
    section, plan = study.config.finetuning, training_plan.adapters(study)[adapter]
    hold: Record | None = None
    if plan.arm == "preventative":
        hold = {"op": "add", "coefficient": section.preventative_coefficient}
    elif plan.arm == "ablation":
        hold = {"op": "ablate", "coefficient": 1.0}
    return {
        "adapter": adapter,
        "exchanges": [[e.prompt, e.response] for e in training_plan.examples(study, plan.dataset)],
        "hold": hold,
        "lora": {**section.model_dump(include=set(_LORA)), "seed": study.config.seed},
    }


def finetuned_answers(study: Study, trait: str) -> Record:
    """Adapters of one trait's training data, and what they are asked."""
    section = study.config.finetuning
    plans = training_plan.adapters_of(study, trait)
    last = training_plan.levels(study)[-1]
    return {
        "trained": trait,
        "adapters": {name: {"level": a.level, "arm": a.arm} for name, a in plans.items()},
        "steered": f"{trait}_{last}_{training_plan.PLAIN}",
        "coefficients": list(section.inference_coefficients),
        "positions": study.config.steering.positions,
        "questions": {name: _questions(study, name) for name in study.trait_names},
        "samples": section.samples,
        "closed": [i.model_dump() for i in take(study.library.closed, section.closed_answers)],
        "seed": study.config.seed,
        "sampling": section.sampling.model_dump(),
    }


def _questions(study: Study, trait: str) -> list[list[str]]:
    """Return evaluation questions of a trait that chose no layer."""
    used, number = study.sweep_questions(trait), study.config.finetuning.questions
    return numbered(study.traits[trait].questions.evaluation)[used : used + number]


def screening(study: Study, corpus: str) -> Record:
    """Training data of one trait at all levels, or a user's file, and the answers to compare."""
    section = study.config.screening
    files = {file.name: file.path for file in section.files}
    sets = [name for name, d in training_plan.datasets(study).items() if d.trait == corpus]
    return {
        "datasets": {
            name: [list(row) for row in training_plan.examples(study, name)] for name in sets
        },
        "file": [corpus, files[corpus]] if corpus in files else None,
        "samples": section.own_answers,
        "seed": study.config.seed,
        "sampling": section.sampling.model_dump(),
    }
