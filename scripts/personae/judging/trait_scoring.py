"""Score responses on a trait and on coherence, for every stage that judges a trait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Unpack

from personae.judging.judge_types import RubricKind, coherence_rubric, trait_rubric
from personae.judging.score_responses import JudgeNode, items_of, write_scores


def score_trait(
    *,
    kind: str,
    trait: Mapping[str, str],
    rubrics: Sequence[RubricKind] = ("trait", "coherence"),
    **node: Unpack[JudgeNode],
) -> None:
    """Write trait score and coherence, both 0-100, of every response (PV, judge).

    Parameters
    ----------
    kind
        Kind of table that the responses are.
    trait
        What the rubric says of the trait, from `personae.workflow.node_params.judged_trait`.
    rubrics
        By what responses are scored.
    node
        Files and judges, as in `write_scores`, with its errors.
    """
    known = {"trait": trait_rubric(trait), "coherence": coherence_rubric()}
    asked = [known[name] for name in rubrics]
    write_scores(kind=kind, tasks=lambda answers: [(asked, items_of(answers))], **node)
