"""Compare the persona spaces of a study's models over the roles that they share.

For every two models, at their middle layers: rank correlation of the cosines between roles (RSA),
correlation of the places of roles on the axis, and of loadings on matched components, with
intervals over roles and a null of roles that change places. A base model and the model trained from
it are marked (AA, persona space). Columns: those of ``model_comparison``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from personae.data import tables
from personae.data.data_frames import read_frame
from personae.science.model_pairs import ComparedModel, centred_loadings, pair_rows


def main(
    *,
    models: Sequence[Mapping[str, Any]],
    cosines: Sequence[str],
    loadings: Sequence[str],
    path_out: str,
    axis: Mapping[str, Any],
    seed: int,
    provenance: dict[str, str],
) -> None:
    """Write one row per pair of models and statistic; tables are in the order of ``models``."""
    compared = [
        _read(model, *paths) for model, *paths in zip(models, cosines, loadings, strict=True)
    ]
    rows = pair_rows(compared, permutations=axis["permutations"], seed=seed)
    table = tables.from_rows(rows, "model_comparison")
    tables.write(table, path_out, "model_comparison", provenance)


def _read(model: Mapping[str, Any], cosines: str, loadings: str) -> ComparedModel:
    at_middle = [("layer", "==", model["middle_layer"])]
    return ComparedModel(
        model["name"],
        model["base"],
        read_frame(cosines, "cosines", filters=at_middle),
        centred_loadings(read_frame(loadings, "role_loadings", filters=at_middle)),
    )


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        models=list(snakemake.params.models),
        cosines=list(snakemake.input.cosines),
        loadings=list(snakemake.input.loadings),
        path_out=snakemake.output[0],
        axis=snakemake.params.axis,
        seed=snakemake.params.seed,
    )
