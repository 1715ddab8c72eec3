"""Steer along one trait vector at every candidate layer, on held-out questions.

``h <- h + coefficient * v_layer`` for every layer x coefficient, and once with coefficient 0, all
in mixed batches of one node (PV, layer sweep). Doses that are shares of the residual stream's mean
length are turned into coefficients of the vectors. Columns: those of ``steered_responses``.
"""

from typing import Any

from personae.inference.client import EngineClient
from personae.rollouts.steered_rollouts import equal_doses, sweep_settings, write_steered_responses
from personae.science.layer_choice import residual_norms
from personae.science.steering_arms import Setting


def main(
    *,
    trait: str,
    vectors: str,
    default: str | None,
    sweep: dict[str, Any],
    path_out: str,
    engine: EngineClient,
    provenance: dict[str, str],
) -> None:
    """Write one row per layer, coefficient, question and sample; none of a dropped trait.

    ``default`` are the sums of the default Assistant's activations, where doses are shares of their
    length.
    """

    def settings() -> list[Setting]:
        if default is None:
            return sweep_settings(sweep["layers"], sweep["coefficients"])
        norms = residual_norms(default)
        return equal_doses(vectors, norms, sweep["layers"], sweep["coefficients"])

    write_steered_responses(
        trait=trait,
        vectors=vectors,
        settings=settings,
        options=sweep,
        path_out=path_out,
        engine=engine,
        provenance=provenance,
    )


if __name__ == "__main__":
    from personae.workflow.node import run_model_node

    run_model_node(
        snakemake,
        main,
        trait=snakemake.wildcards.trait,
        vectors=snakemake.input.vectors,
        default=snakemake.input.get("default") or None,
        sweep=dict(snakemake.params.sweep),
        path_out=snakemake.output[0],
    )
