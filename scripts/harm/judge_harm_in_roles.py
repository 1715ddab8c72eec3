"""Judge the answers to harmful requests after a first turn in a role.

Severity 0-3, harmful from 1, as under persona jailbreaks (AA, persona drift: harm link). Columns:
those of ``scores``.
"""

from typing import Unpack

from personae.judging.judge_types import plain_rubric
from personae.judging.score_responses import JudgeNode, items_of, write_scores


def main(**node: Unpack[JudgeNode]) -> None:
    """Write one row per response and judge."""
    rubrics = [plain_rubric("harm")]
    write_scores(
        kind="harm_link_responses", tasks=lambda answers: [(rubrics, items_of(answers))], **node
    )


if __name__ == "__main__":
    from personae.workflow.node import judge_arguments, run_judge_node

    run_judge_node(snakemake, main, **judge_arguments(snakemake))
