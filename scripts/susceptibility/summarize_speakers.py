"""Share of every speaker by strength of steering, with intervals and the change from no steering.

Per judge, direction and strength: the share of answers of every label, and of any persona, with
intervals over roles and questions, the paired change from strength 0, its excess over random
directions, and coherence (AA, role susceptibility). Columns: those of ``speaker_shares``.
"""

from personae.data import tables
from personae.science.speaker_shares import share_table


def main(
    *, responses: str, scores: str, path_out: str, unit: str, provenance: dict[str, str]
) -> None:
    """Write one row per judge, direction, strength and label."""
    table = share_table(
        tables.read(responses, "speaker_responses"), tables.read(scores, "scores"), unit
    )
    tables.write(table, path_out, "speaker_shares", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        responses=snakemake.input.responses,
        scores=snakemake.input.scores,
        path_out=snakemake.output[0],
        unit=snakemake.params.unit,
    )
