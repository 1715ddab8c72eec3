"""Report personas with fewer texts than a study requests; they are used with those they have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from personae.data.table_values import DEFAULT
from personae.personas.library import Trait
from personae.workflow.config.study import Study

_NAMED: Final = 5
_LEAST: Final = 2  # evaluation questions: one chooses the layer, one measures the effect


def shortfalls(study: Study) -> list[str]:
    """Return one line per setting that some personas cannot meet, and per file read in part."""
    lines = fewer_than_asked(study)
    return [*study.library.notes, *lines]


def fewer_than_asked(study: Study) -> list[str]:
    """Return one line per setting that some personas cannot meet, which the report shows.

    A study whose model plays the user of simulated conversations has a line too.
    """
    lines = [_line(place, asked, have) for place, asked, have, _ in _settings(study) if have]
    if study.simulated and study.auditor is None:
        lines.append(
            "drift.simulated: the studied model plays the user as well; assignments.auditor names "
            "no endpoint"
        )
    return lines


def unmet(study: Study) -> Iterator[str]:
    """Yield one line per setting that no persona meets, and per trait that cannot be steered."""
    for place, asked, have, among in _settings(study):
        if have and len(have) == among:
            name = max(have, key=lambda one: have[one])
            most = f"{name}, which has most, has {have[name]}"
            yield f"{place}: {asked} is too many, {most}; lower it or add more"
    for name, trait in study.traits.items():
        there = len(trait.questions.evaluation)
        if there < _LEAST:
            yield (
                f"traits.names: {name} has {there} evaluation question; give it {_LEAST} at least, "
                "as one chooses the layer and another measures the effect"
            )


def _settings(study: Study) -> Iterator[tuple[str, int, dict[str, int], int]]:
    """Yield place, number asked for, what those have that have less, and among how many."""
    config = study.config
    roles = {DEFAULT: study.library.default, **study.roles}
    capped, traits = study.capped_roles, study.traits
    questions = config.traits.questions
    chosen = config.layer_sweep.questions
    measured = max(config.steering.questions, config.monitoring.questions)
    counts: list[tuple[str, int | None, Mapping[str, int]]] = [
        ("roles.prompts", config.roles.prompts, {n: len(r.prompts) for n, r in roles.items()}),
        ("capping.prompts", config.capping.prompts, {n: len(r.prompts) for n, r in capped.items()}),
        ("traits.pairs", config.traits.pairs, {n: len(t.pairs) for n, t in traits.items()}),
        ("traits.questions.extraction", questions.extraction, _questions(traits, "extraction")),
        ("traits.questions.evaluation", questions.evaluation, _questions(traits, "evaluation")),
        (
            f"layer_sweep.questions + {_most(study)}.questions",
            chosen + measured,
            _questions(traits, "evaluation"),
        ),
        (
            "monitoring.prompts",
            config.monitoring.prompts,
            {n: len(t.graded) for n, t in traits.items()},
        ),
        (
            "monitoring.shots",
            max(config.monitoring.shots, default=None),
            {n: len(t.many_shot) for n, t in traits.items() if t.many_shot},
        ),
    ]
    for place, asked, there in counts:
        if asked is not None:
            yield place, asked, {n: has for n, has in there.items() if has < asked}, len(there)


def _most(study: Study) -> str:
    steering, monitoring = study.config.steering.questions, study.config.monitoring.questions
    return "monitoring" if monitoring > steering else "steering"


def _questions(traits: Mapping[str, Trait], part: str) -> dict[str, int]:
    return {name: len(getattr(trait.questions, part)) for name, trait in traits.items()}


def _line(place: str, asked: int, have: Mapping[str, int]) -> str:
    shown = ", ".join(f"{name} {count}" for name, count in list(have.items())[:_NAMED])
    more = f" and {len(have) - _NAMED} more" if len(have) > _NAMED else ""
    verb = "has less and is" if len(have) == 1 else "have less and are"
    return f"{place}: {asked} asked for; {len(have)} {verb} used with what is there: {shown}{more}"
