"""How much disk the results of a study take, by what is kept of the rollouts' activations."""

from __future__ import annotations

from typing import Final, NamedTuple

from personae.data.table_values import DEFAULT
from personae.workflow.config import Study
from personae.workflow.estimate.node_work import NodeWork, WorkCounter

_FLOAT, _HALF = 4, 2
_ROLE_KINDS: Final = 3  # fully, somewhat, other
_BYTES_PER_TOKEN: Final = 8  # its id, and its characters, before compression
_BYTES_PER_PROJECTION: Final = 9  # float64, and the columns that repeat, compressed


class DiskUse(NamedTuple):
    """Bytes of one model's results.

    Attributes
    ----------
    texts
        Responses, with their tokens.
    activations
        Of single rollouts at all layers: all of them, or none.
    sums
        Vectors, and sums by kind of rollout and fold of the questions.
    kept
        Single rollouts in 16 bits.
    projections
        Of every rollout on every direction at every layer.
    temporary
        Rows that the largest node keeps while it runs, should it be ended.
    """

    texts: float
    activations: float
    sums: float
    kept: float
    projections: float
    temporary: float

    @property
    def at_rest(self) -> float:
        """Bytes of the finished results."""
        return sum(self) - self.temporary

    @property
    def peak(self) -> float:
        """Bytes while the largest node runs; every further one beside it adds as much."""
        return sum(self)


def disk_use(study: Study, model: str, counter: WorkCounter, works: list[NodeWork]) -> DiskUse:
    """Return the bytes of a model's results, given the work of its nodes."""
    row, config = study.models[model], study.config
    layer = row.n_layers * row.hidden_size
    roles = [*study.role_names, DEFAULT]
    responses = [counter.role({"model": model, "role": role}).number for role in roles]
    asked = len(study.extraction_questions)
    share = asked / max(1, asked + len(study.heldout_questions))
    folds = min(config.activations.folds, asked)
    vectors = 4 * len(roles) + len(study.space_names) + 3 * len(study.trait_names)
    sampled = sum(min(config.axis.null_rollouts, share * number) for number in responses)
    kept = sampled * layer + sum(responses) * len(study.kept_layers(model)) * row.hidden_size
    sides = [
        counter.trait({"model": model, "trait": trait, "polarity": polarity}).number
        for trait in study.space_names
        for polarity in ("positive", "negative")
    ]
    projected = (sum(responses) + sum(sides)) * (1 + config.capping.random_directions)
    extracted = [work.vectors for work in works]
    return DiskUse(
        texts=_BYTES_PER_TOKEN * sum(work.generated for work in works),
        activations=_FLOAT * row.hidden_size * sum(extracted),
        sums=_FLOAT * layer * (vectors + _ROLE_KINDS * folds * len(roles)),
        kept=_HALF * kept,
        projections=_BYTES_PER_PROJECTION * projected * row.n_layers,
        temporary=_FLOAT * row.hidden_size * max(extracted, default=0),
    )
