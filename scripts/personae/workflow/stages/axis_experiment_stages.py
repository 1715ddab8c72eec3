"""Stages that steer or cap along the Assistant Axis: susceptibility, harm, case studies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from personae.workflow.stages.stage import Output, Stage, single

if TYPE_CHECKING:
    from personae.workflow.config import Study


def steers_roles(study: Study) -> bool:
    """Whether a study has the role-susceptibility arm."""
    return study.config.susceptibility is not None


def has_harm(study: Study) -> bool:
    """Whether a study has the harm arm."""
    return study.config.harm is not None


def has_harm_link(study: Study) -> bool:
    """Whether a study asks harmful requests after a first turn in a role."""
    return study.config.harm_link is not None


def has_cases(study: Study) -> bool:
    """Whether a study replays case studies."""
    return study.config.cases is not None


_SUSCEPTIBILITY: Final = (
    Stage(
        "steer_roles",
        "susceptibility",
        "Ask steered roles who they are",
        "model",
        single(
            "speaker_responses",
            report="speaker_responses",
            counted_as="answers steered along the axis",
        ),
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
        single("scores", report="speaker_scores"),
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

_HARM: Final = (
    Stage(
        "answer_probes",
        "harm",
        "Answer harmful requests in personas",
        "model",
        single(
            "harm_responses", report="harm_responses", counted_as="responses to harmful requests"
        ),
        {"directions": "directions", "floors": "floors"},
        runs="model",
        work=lambda count, at: count.generate(count.harm(at)),
        group="harm",
        only_if=has_harm,
    ),
    Stage(
        "judge_harm",
        "harm",
        "Judge the harm",
        "model",
        single("scores", report="harm_scores"),
        {"responses": "harm_responses", "calibration": "calibration"},
        runs="judge",
        work=lambda count, at: count.judge(count.harm(at), 1),
        group="harm",
        group_without_model="harm_judging",
        score_summary="harm",
        only_if=has_harm,
    ),
    Stage(
        "summarize_harm",
        "harm",
        "Harm by arm, and the chosen cap",
        "model",
        single("harm_rates", scorecard="harm_rates", arm_target=True),
        {"responses": "harm_responses", "scores": "scores", "tradeoff": "capping_tradeoff"},
        only_if=has_harm,
    ),
)

_HARM_LINK: Final = (
    Stage(
        "answer_in_roles",
        "harm",
        "Answer harmful requests after a first turn",
        "model",
        single(
            "harm_link_responses",
            report="harm_link_responses",
            counted_as="responses to harmful requests in a second turn",
        ),
        {"responses": "role_responses"},
        runs="model",
        work=lambda count, at: count.generate(count.harm_link(at)),
        group="harm_link",
        only_if=has_harm_link,
    ),
    Stage(
        "judge_harm_in_roles",
        "harm",
        "Judge the harm of second turns",
        "model",
        single("scores", report="harm_link_scores"),
        {"responses": "harm_link_responses", "calibration": "calibration"},
        runs="judge",
        work=lambda count, at: count.judge(count.harm_link(at), 1),
        group="harm_link",
        group_without_model="harm_link_judging",
        score_summary="harm_link",
        only_if=has_harm_link,
    ),
    Stage(
        "measure_harm_link",
        "harm",
        "Harm against the projection of the first turn",
        "model",
        {
            "points": Output("harm_link_points"),
            "link": Output("harm_link", scorecard="harm_link", arm_target=True),
        },
        {"responses": "harm_link_responses", "scores": "scores", "projections": "projections"},
        only_if=has_harm_link,
    ),
)

_CASES: Final = (
    Stage(
        "replay_cases",
        "cases",
        "Replay case studies",
        "model",
        single("replays", report="case_replays", counted_as="turns of case studies"),
        {"directions": "directions", "floors": "floors"},
        runs="model",
        work=lambda count, at: count.generate(count.cases(at)),
        group="cases",
        only_if=has_cases,
    ),
    Stage(
        "judge_cases",
        "cases",
        "Judge risk and harm",
        "model",
        single("scores", report="case_scores"),
        {"responses": "replays", "calibration": "calibration"},
        runs="judge",
        work=lambda count, at: count.judge(count.cases(at), 2),
        group="cases",
        group_without_model="case_judging",
        score_summary="cases",
        only_if=has_cases,
    ),
    Stage(
        "project_cases",
        "cases",
        "Project turns and tokens on the axis",
        "model",
        {
            "turns": Output("drift_projections", report="case_projections"),
            "tokens": Output("token_projections"),
        },
        {"directions": "directions", "replays": "replays"},
        runs="model",
        work=lambda count, at: count.project(count.cases(at)),
        group="cases",
        only_if=has_cases,
    ),
    Stage(
        "summarize_cases",
        "cases",
        "Risk against projection, capped and not",
        "model",
        {
            "turns": Output("case_turns"),
            "effects": Output("case_effects", scorecard="case_effects", arm_target=True),
        },
        {"replays": "replays", "scores": "scores", "projections": "drift_projections"},
        only_if=has_cases,
    ),
)

AXIS_EXPERIMENT_STAGES: Final = (*_SUSCEPTIBILITY, *_HARM, *_HARM_LINK, *_CASES)
