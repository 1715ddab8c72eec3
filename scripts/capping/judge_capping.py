"""Judge how far the persona is played, with and without capping.

Role adherence 0-3 towards each role or jailbreak persona, and coherence 0-100; an unscored response
keeps its raw text and its reason and gets no number (AA, evaluation). Columns: those of ``scores``.
"""

from collections.abc import Mapping
from typing import Any, Unpack

import pyarrow as pa
import pyarrow.compute as pc

from personae.judging.judge_types import Task, coherence_rubric, role_rubric
from personae.judging.score_responses import JudgeNode, items_of, write_scores


def main(*, personas: Mapping[str, Mapping[str, Any]], **node: Unpack[JudgeNode]) -> None:
    """Write one row per response, rubric and judge."""

    def tasks(answers: pa.Table) -> list[Task]:
        return [
            (
                [role_rubric(**record), coherence_rubric()],
                items_of(answers.filter(pc.equal(answers["subject"], persona))),
            )
            for persona, record in personas.items()
        ]

    write_scores(kind="capped_responses", tasks=tasks, **node)


if __name__ == "__main__":
    from personae.workflow.node import judge_arguments, run_judge_node

    run_judge_node(
        snakemake, main, personas=snakemake.params.personas, **judge_arguments(snakemake)
    )
