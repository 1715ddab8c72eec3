"""Judge who speaks in every steered answer, and how coherent it is.

Labels ``assistant``, ``human``, ``nonhuman``, ``mystical`` or ``other``, and coherence 0-100 (AA,
role susceptibility). Columns: those of ``scores``.
"""

from typing import Unpack

from personae.judging.judge_types import coherence_rubric, plain_rubric
from personae.judging.score_responses import JudgeNode, items_of, write_scores


def main(**node: Unpack[JudgeNode]) -> None:
    """Write one row per response, rubric and judge."""
    rubrics = [plain_rubric("role_label"), coherence_rubric()]
    write_scores(
        kind="speaker_responses", tasks=lambda answers: [(rubrics, items_of(answers))], **node
    )


if __name__ == "__main__":
    from personae.workflow.node import judge_arguments, run_judge_node

    run_judge_node(snakemake, main, **judge_arguments(snakemake))
