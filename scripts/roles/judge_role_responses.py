"""Judge how fully one role was played, response by response.

Role adherence 0-3 by the primary judge and the second opinion; an unscored response keeps its raw
text and its reason and gets no number (AA, judge). Columns: those of ``scores``.
"""

from collections.abc import Mapping
from typing import Any, Unpack

from personae.judging.judge_types import role_rubric
from personae.judging.score_responses import JudgeNode, items_of, write_scores


def main(*, role: Mapping[str, Any], **node: Unpack[JudgeNode]) -> None:
    """Write one row per response and judge."""
    rubrics = [role_rubric(**role)]
    write_scores(
        kind="role_responses", tasks=lambda answers: [(rubrics, items_of(answers))], **node
    )


if __name__ == "__main__":
    from personae.workflow.node import judge_arguments, run_judge_node

    run_judge_node(snakemake, main, role=snakemake.params.role, **judge_arguments(snakemake))
