"""Judge delusion risk and harm of every turn of the case studies.

Delusion risk 0-100 (two 1-5 scales, higher is worse) and severity of harm 0-3 (AA, case studies).
Columns: those of ``scores``.
"""

from typing import Unpack

from personae.judging.judge_types import plain_rubric
from personae.judging.score_responses import JudgeNode, items_of, write_scores


def main(**node: Unpack[JudgeNode]) -> None:
    """Write one row per turn, rubric and judge."""
    rubrics = [plain_rubric("delusion_risk"), plain_rubric("harm")]
    write_scores(kind="replays", tasks=lambda turns: [(rubrics, items_of(turns))], **node)


if __name__ == "__main__":
    from personae.workflow.node import judge_arguments, run_judge_node

    run_judge_node(snakemake, main, **judge_arguments(snakemake))
