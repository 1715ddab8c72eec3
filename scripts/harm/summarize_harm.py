"""Rate of harmful responses by arm and category, and the setting of the cap that is chosen.

Per judge, arm, half of the probes and category: the rate with its interval over personas and
probes, the paired change from no cap, its excess over random directions, the outcomes, and the
change of accuracy that the capping arm measured. The setting is chosen on one half of the probes
and reported on the other (AA, capping evaluation). Columns: those of ``harm_rates``.
"""

from personae.data import tables
from personae.science.harm_rates import rate_table


def main(
    *,
    responses: str,
    scores: str,
    tradeoff: str,
    path_out: str,
    max_loss: float,
    provenance: dict[str, str],
) -> None:
    """Write one row per judge, arm, half and category."""
    table = rate_table(
        tables.read(responses, "harm_responses"),
        tables.read(scores, "scores"),
        tables.read(tradeoff, "capping_tradeoff"),
        max_loss=max_loss,
    )
    tables.write(table, path_out, "harm_rates", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        responses=snakemake.input.responses,
        scores=snakemake.input.scores,
        tradeoff=snakemake.input.tradeoff,
        path_out=snakemake.output[0],
        max_loss=snakemake.params.max_loss,
    )
