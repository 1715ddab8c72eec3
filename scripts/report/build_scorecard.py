"""Score every claim of the two papers on the tables of all models of a study.

Columns: those of ``scorecard``. A claim is ``reproduced``, ``not reproduced``, ``inconclusive`` or
``not testable here``; what each needs was fixed beside the claim and stands in its row. The file's
provenance holds the digest of the registry of claims, and the tables that each claim read.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from personae.data import tables
from personae.report.scorecard.all_claims import CLAIMS, CROSS_CLAIMS, DIGEST
from personae.report.scorecard.evidence import SCHEMA_OF, Criteria, Evidence, files_of_model
from personae.report.scorecard.scoring import score_claims
from personae.report.scorecard.verdict_rates import rates_at
from personae.workflow.provenance_chain import CLAIM_TABLES


def main(
    *,
    inputs: Mapping[str, Sequence[str]],
    path_out: str,
    middle_layers: Mapping[str, int],
    n_roles: int,
    criteria: Mapping[str, Any],
    sizes: Mapping[str, Any],
    bases: Mapping[str, str],
    provenance: dict[str, str],
) -> None:
    """Write one row per claim and model; ``inputs`` hold the files of all models by name."""
    folder = Path(path_out).parent
    models = [
        Evidence(
            model,
            layer,
            n_roles,
            files_of_model(inputs, folder, model),
            Criteria(**criteria),
            base=bases.get(model, ""),
        )
        for model, layer in middle_layers.items()
    ]
    read: dict[str, list[str]] = {}
    rows = score_claims(CLAIMS, CROSS_CLAIMS, models, rates_at(sizes), read)
    with_digest = {**provenance, "claims_digest": DIGEST, CLAIM_TABLES: json.dumps(read)}
    tables.write(tables.from_rows(rows, "scorecard"), path_out, "scorecard", with_digest)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        inputs={name: list(snakemake.input[name]) for name in SCHEMA_OF},
        path_out=snakemake.output[0],
        middle_layers=dict(snakemake.params.middle_layers),
        n_roles=snakemake.params.n_roles,
        criteria=dict(snakemake.params.criteria),
        sizes=dict(snakemake.params.sizes),
        bases=dict(snakemake.params.bases),
    )
