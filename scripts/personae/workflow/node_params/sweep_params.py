"""Parameters of the steering and monitoring nodes."""

from __future__ import annotations

from collections.abc import Sequence

from personae.workflow.config.study import Study, take
from personae.workflow.node_params.question_texts import Record, numbered


def layer_sweep(study: Study, model: str, trait: str) -> Record:
    """Candidate layers and coefficients, on the first evaluation questions of the trait."""
    section = study.config.layer_sweep
    questions = study.traits[trait].questions.evaluation
    return {
        "layers": study.candidate_layers(model),
        "coefficients": list(section.coefficients),
        "units": section.units,
        "questions": numbered(questions[: study.sweep_questions(trait)]),
        "samples": section.samples,
        "positions": section.positions,
        "seed": study.config.seed,
        "sampling": section.sampling.model_dump(),
    }


def steering(study: Study, trait: str) -> Record:
    """Coefficients of both signs, on evaluation questions that chose no layer.

    # ASSUME: the alpha sweep starts behind the layer sweep's questions, so that the effect at the
    # chosen layer is not measured on the questions that chose it.
    """
    section, used = study.config.steering, study.sweep_questions(trait)
    questions = numbered(study.traits[trait].questions.evaluation)
    return {
        "coefficients": list(section.coefficients),
        "questions": questions[used : used + section.questions],
        "samples": section.samples,
        "positions": section.positions,
        "random_directions": section.random_directions,
        "seed": study.config.seed,
        "sampling": section.sampling.model_dump(),
    }


def compared_arms(study: Study, trait: str) -> Record:
    """Ways of steering a trait, on evaluation questions that chose no layer."""
    section, used = study.config.comparison, study.sweep_questions(trait)
    questions = numbered(study.traits[trait].questions.evaluation)
    return {
        **section.model_dump(exclude={"questions", "closed_answers", "sampling"}),
        "questions": questions[used : used + section.questions],
        "positions_of_steering": study.config.steering.positions,
        "partner": partner(study, trait),
        "closed": [i.model_dump() for i in take(study.library.closed, section.closed_answers)],
        "seed": study.config.seed,
        "sampling": section.sampling.model_dump(),
    }


def partner(study: Study, trait: str) -> str | None:
    """Return the trait that is steered together with another: the next one of the study."""
    names = study.trait_names
    if "pair" not in study.config.comparison.arms or len(names) < 2:
        return None
    return names[(names.index(trait) + 1) % len(names)]


def monitoring(study: Study, trait: str) -> Record:
    """Graded system prompts and example exchanges, on questions that chose no layer."""
    section, record = study.config.monitoring, study.traits[trait]
    used = study.sweep_questions(trait)
    shots = [shots for shots in section.shots if shots <= len(record.many_shot)]
    shown = record.many_shot[: max(shots, default=0)]
    return {
        "trait": trait,
        "prompts": _spread(record.graded, section.prompts),
        "examples": [[shot.user, shot.assistant] for shot in shown],
        "shots": shots,
        "questions": numbered(record.questions.evaluation)[used : used + section.questions],
        "samples": section.samples,
        "seed": study.config.seed,
        "sampling": section.sampling.model_dump(),
    }


def _spread(graded: Sequence[str], number: int | None) -> list[str]:
    """Take ``number`` prompts from one end of the grades to the other, or all of them."""
    if number is None or number >= len(graded):
        return list(graded)
    step = (len(graded) - 1) / max(number - 1, 1)
    return [graded[round(index * step)] for index in range(number)]
