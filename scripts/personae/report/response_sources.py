"""Where the responses that the page shows come from."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class ResponseSource(NamedTuple):
    """One of the report's inputs.

    Attributes
    ----------
    responses, scores
        Names of the inputs; no scores if empty.
    kind
        Kind of table of the responses.
    arm
        What the page calls it.
    subject
        Column with the role, trait or conversation.
    side
        Column that tells sides apart: a polarity, a suite, how a turn was made; empty if none.
    case
        Columns that name one question or conversation, asked under several interventions.
    renamed
        Columns that the page knows by another name.
    """

    responses: str
    scores: str
    kind: str
    arm: str
    subject: str
    side: str
    case: tuple[str, ...]
    renamed: Mapping[str, str] = MappingProxyType({})


_STRENGTH: Final = MappingProxyType({"strength": "coefficient"})

SOURCES: Final = (
    ResponseSource(
        "role_responses", "role_scores", "role_responses", "roles", "role", "",
        ("role", "prompt_index", "question_id"),
    ),
    ResponseSource(
        "trait_responses", "trait_scores", "trait_responses", "traits", "trait", "polarity",
        ("trait", "pair", "question_id"),
    ),
    ResponseSource(
        "sweep_responses", "sweep_scores", "steered_responses", "layer sweep", "trait", "",
        ("trait", "question_id", "sample"),
    ),
    ResponseSource(
        "steered_responses", "steered_scores", "steered_responses", "steering", "trait", "",
        ("trait", "question_id", "sample"),
    ),
    ResponseSource(
        "compared_responses", "comparison_scores", "compared_responses", "ways of steering",
        "trait", "arm", ("trait", "question_id", "sample"),
    ),
    ResponseSource(
        "monitored_responses", "monitored_scores", "monitored_responses", "monitoring", "trait",
        "kind", ("trait", "kind", "grade", "question_id", "sample"),
    ),
    ResponseSource(
        "finetuned_responses", "finetuned_scores", "finetuned_responses", "fine-tuning", "trait",
        "adapter", ("trait", "question_id", "sample"),
    ),
    ResponseSource(
        "speaker_responses", "speaker_scores", "speaker_responses", "who are you", "role", "",
        ("role", "prompt_index", "question_id", "sample"), _STRENGTH,
    ),
    ResponseSource(
        "capped_responses", "capped_scores", "capped_responses", "capping", "subject", "suite",
        ("suite", "subject", "question_id"),
    ),
    ResponseSource(
        "harm_responses", "harm_scores", "harm_responses", "harm", "persona", "contrast",
        ("question_id", "sample"), _STRENGTH,
    ),
    ResponseSource(
        "harm_link_responses", "harm_link_scores", "harm_link_responses", "harm, second turn",
        "role", "", ("role", "first_turn", "question_id"),
    ),
    ResponseSource(
        "case_replays", "case_scores", "replays", "case studies", "conversation", "arm",
        ("conversation",),
    ),
    ResponseSource(
        "replays", "", "replays", "conversations", "conversation", "arm", ("conversation",)
    ),
    ResponseSource(
        "simulated", "", "replays", "simulated conversations", "conversation", "arm",
        ("conversation",),
    ),
)  # fmt: skip
"""All responses of a study but the short items with exact answers."""

ARMS: Final = {source.responses: source.arm for source in SOURCES}
"""What the page calls the responses of an input."""
