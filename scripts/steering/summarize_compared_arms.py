"""Summarise the ways of steering of all traits, and their effects on other traits (PV, steering).

Means and changes from no steering, paired by question, by the primary judge. Tables:
``compared_scores`` (one row per question) and ``steering_comparison``.
"""

from collections.abc import Mapping, Sequence

from personae.data import tables
from personae.data.judge_scores import read_scores
from personae.science.steering_comparison import comparison_rows, score_rows


def main(
    *,
    responses: Sequence[str],
    scores: Sequence[str],
    closed: Sequence[str],
    paths_out: Mapping[str, str],
    max_unscored: float,
    provenance: dict[str, str],
) -> None:
    """Write both tables; files are those of all traits in one order, empty if dropped."""
    rows = []
    for answers, judged, items in zip(responses, scores, closed, strict=True):
        answered = tables.read(answers, "compared_responses")
        if answered.num_rows:
            table = read_scores(judged, "trait", max_unscored)
            primary = table.filter(table["primary"]).to_pandas()
            right = tables.read(items, "compared_closed").to_pandas()
            rows += score_rows(answered.to_pandas(), primary, right)
    scored = tables.from_rows(rows, "compared_scores")
    made = {
        "compared_scores": scored,
        "steering_comparison": tables.from_rows(
            comparison_rows(scored.to_pandas()), "steering_comparison"
        ),
    }
    for kind, found in made.items():
        tables.write(found, paths_out[kind], kind, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        responses=list(snakemake.input.responses),
        scores=list(snakemake.input.scores),
        closed=list(snakemake.input.closed),
        paths_out={
            "compared_scores": snakemake.output.scored,
            "steering_comparison": snakemake.output.comparison,
        },
        max_unscored=snakemake.params.max_unscored,
    )
