"""Judge ways of steering: the trait that is steered, coherence, and the other traits (PV, judge).

Other traits are judged of the unsteered arm and of the main one, which gives the matrix of steered
against measured traits.
"""

from collections.abc import Mapping, Sequence
from typing import Unpack

import pyarrow as pa
import pyarrow.compute as pc

from personae.judging.judge_types import coherence_rubric, trait_rubric
from personae.judging.score_responses import JudgeNode, Task, items_of, write_scores
from personae.science.steering_arms import VARIANT
from personae.science.steering_comparison import NONE


def main(*, trait: str, traits: Mapping[str, Mapping[str, str]], **node: Unpack[JudgeNode]) -> None:
    """Write one row per response, rubric and judge; ``traits`` is what judges know of each."""

    def tasks(answers: pa.Table) -> Sequence[Task]:
        main_arms = answers.filter(pc.is_in(answers["arm"], pa.array([NONE, VARIANT])))
        others = [trait_rubric(record) for name, record in traits.items() if name != trait]
        own = [trait_rubric(traits[trait]), coherence_rubric()]
        return [(own, items_of(answers)), (others, items_of(main_arms))]

    write_scores(kind="compared_responses", tasks=tasks, **node)


if __name__ == "__main__":
    from personae.workflow.node import judge_arguments, run_judge_node

    run_judge_node(
        snakemake,
        main,
        trait=snakemake.wildcards.trait,
        traits=dict(snakemake.params.traits),
        **judge_arguments(snakemake),
    )
