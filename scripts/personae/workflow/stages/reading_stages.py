"""Stages that read trait vectors as tokens and as features of sparse autoencoders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from personae.workflow.stages.stage import Stage, single

if TYPE_CHECKING:
    from personae.workflow.config import Study


def reads_tokens(study: Study) -> bool:
    """Whether the study reads vectors as tokens."""
    return study.config.reading.tokens is not None and bool(study.trait_names)


def reads_features(study: Study) -> bool:
    """Whether the study reads vectors as features of a sparse autoencoder."""
    return bool(study.config.reading.autoencoders) and bool(study.trait_names)


READING_STAGES: Final = (
    Stage(
        "read_tokens",
        "reading",
        "Read vectors as tokens",
        "model",
        single("vector_tokens", scorecard="vector_tokens", arm_target=True),
        {"vectors": "trait_vectors", "layers": "steering_effects", "directions": "directions"},
        runs="training",
        work=lambda count, _: count.nothing(),
        only_if=reads_tokens,
    ),
    Stage(
        "read_features",
        "reading",
        "Read vectors as features",
        "autoencoder",
        single("vector_features", scorecard="vector_features", arm_target=True),
        {"vectors": "trait_vectors", "responses": "trait_responses"},
        runs="model",
        work=lambda count, at: count.read_traits(),
    ),
)
