"""Count what every judge scored and left unscored, and compare judges on the study's own responses.

``score_summary``: one row per judge, rubric, target, arm and mode, with the reasons of what is
missing, the mean of what is scored, the mean corrected for the judge's errors on labelled
responses, and the mean as if everything unscored were lowest, then highest: the truth lies between
them. ``judge_pairs`` and ``confusion``: agreement of every two judges by arm and rubric on the
responses that both were asked about, with intervals over questions.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from personae.data import tables
from personae.data.judge_scores import summary_rows
from personae.judging.judge_pairs import (
    Pairs,
    add_pairs,
    pair_confusion_rows,
    pair_rows,
    study_opinions,
)
from personae.science.corrected_means import corrected_rows, judge_lines

SCHEMAS = {"summary": "score_summary", "pairs": "judge_pairs", "confusion": "confusion"}


def main(
    *,
    scores: Mapping[str, Sequence[str]],
    responses: Mapping[str, Sequence[str]],
    kinds: Mapping[str, str],
    labelled: str,
    seed: int,
    paths_out: Mapping[str, str],
    provenance: dict[str, str],
) -> None:
    """Write the three tables.

    Parameters
    ----------
    scores, responses
        Arm to its tables, both in the same order.
    kinds
        Arm to the kind of table that its responses are.
    labelled
        ``labelled_scores``: every judge's scores of labelled responses, which correct its means.
    seed
        Of the bootstrap over questions.
    """
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in SCHEMAS}
    lines = judge_lines(tables.read(labelled, "labelled_scores"), seed)
    for arm, paths in scores.items():
        judged = [tables.read(path, "scores") for path in paths]
        rows["summary"] += corrected_rows(summary_rows(judged, arm), judged, lines, seed)
        pairs: Pairs = {}
        for table, path in zip(judged, responses[arm], strict=True):
            if len(table["judge"].unique()) > 1:
                asked = tables.read(path, kinds[arm], ["response_id", "question"]).to_pydict()
                questions = dict(zip(asked["response_id"], asked["question"], strict=True))
                add_pairs(study_opinions(table, questions), pairs)
        rows["pairs"] += pair_rows(pairs, seed, arm)
        rows["confusion"] += pair_confusion_rows(pairs, arm)
    for name, schema in SCHEMAS.items():
        tables.write(tables.from_rows(rows[name], schema), paths_out[name], schema, provenance)


def as_list(paths: str | Sequence[str]) -> list[str]:
    """Return the files of an input, which Snakemake hands over bare when there is one."""
    return [paths] if isinstance(paths, str) else list(paths)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    kinds = dict(snakemake.params.kinds)
    run_node(
        snakemake,
        main,
        scores={arm: as_list(snakemake.input[arm]) for arm in kinds},
        responses={arm: as_list(snakemake.input[f"{arm}_responses"]) for arm in kinds},
        kinds=kinds,
        labelled=snakemake.input.labelled_scores,
        seed=snakemake.params.seed,
        paths_out={name: snakemake.output[name] for name in SCHEMAS},
    )
