"""Stages that steer along the Assistant Axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from personae.workflow.stages.stage import Stage, single

if TYPE_CHECKING:
    from personae.workflow.config import Study


def steers_roles(study: Study) -> bool:
    """Whether a study has the role-susceptibility arm."""
    return study.config.susceptibility is not None


_SUSCEPTIBILITY: Final = (
    Stage(
        "steer_roles",
        "susceptibility",
        "Ask steered roles who they are",
        "model",
        single("speaker_responses", counted_as="answers steered along the axis"),
        {"directions": "directions"},
        runs="model",
        work=lambda count, at: count.generate(count.susceptibility(at)),
        group="susceptibility",
        only_if=steers_roles,
    ),
    Stage(
        "judge_speakers",
        "susceptibility",
        "Label the speakers",
        "model",
        single("scores"),
        {"responses": "speaker_responses", "calibration": "calibration"},
        runs="judge",
        work=lambda count, at: count.judge(count.susceptibility(at), 2),
        group="susceptibility",
        group_without_model="susceptibility_judging",
        score_summary="susceptibility",
        only_if=steers_roles,
    ),
    Stage(
        "summarize_speakers",
        "susceptibility",
        "Share of speakers by strength",
        "model",
        single("speaker_shares", scorecard="speaker_shares", arm_target=True),
        {"responses": "speaker_responses", "scores": "scores"},
        only_if=steers_roles,
    ),
)

AXIS_EXPERIMENT_STAGES: Final = _SUSCEPTIBILITY
