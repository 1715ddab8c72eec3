"""Draw case studies turn by turn: projection and delusion risk, with and without a cap.

From ``case_turns``, ``case_effects`` (verdicts of the judge that decides on delusion risk) and
``token_projections`` (AA, case studies).
"""

from personae.data.data_frames import read_frame
from personae.report.plots.case_figure import case_studies
from personae.report.plots.style import save


def main(
    *,
    turns: str,
    effects: str,
    tokens: str,
    path_out: str,
    judge: str,
    provenance: dict[str, str],
) -> None:
    """Write the figure."""
    of_judge = [("judge", "==", judge)]
    illustration = case_studies(
        read_frame(turns, "case_turns", filters=of_judge),
        read_frame(effects, "case_effects", filters=of_judge),
        read_frame(tokens, "token_projections"),
    )
    save(illustration, path_out, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        turns=snakemake.input.turns,
        effects=snakemake.input.effects,
        tokens=snakemake.input.tokens,
        path_out=snakemake.output[0],
        judge=snakemake.params.judge,
    )
