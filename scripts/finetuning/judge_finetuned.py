"""Judge the answers of adapters: the trait that a question measures, and coherence (PV, judge)."""

from collections.abc import Mapping, Sequence
from typing import Unpack

import pyarrow as pa
import pyarrow.compute as pc

from personae.judging.judge_types import coherence_rubric, trait_rubric
from personae.judging.score_responses import JudgeNode, Task, items_of, write_scores


def main(*, traits: Mapping[str, Mapping[str, str]], **node: Unpack[JudgeNode]) -> None:
    """Write one row per response, rubric and judge; ``traits`` is what judges know of each."""

    def tasks(answers: pa.Table) -> Sequence[Task]:
        return [
            (
                [trait_rubric(record), coherence_rubric()],
                items_of(answers.filter(pc.equal(answers["trait"], trait))),
            )
            for trait, record in traits.items()
        ]

    write_scores(kind="finetuned_responses", tasks=tasks, **node)


if __name__ == "__main__":
    from personae.workflow.node import judge_arguments, run_judge_node

    run_judge_node(
        snakemake, main, traits=dict(snakemake.params.traits), **judge_arguments(snakemake)
    )
