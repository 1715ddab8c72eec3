"""Read trait vectors as features of a sparse autoencoder (PV, interpretation).

The features whose decoder direction is closest to each vector at the autoencoder's layer, and those
that are more active in responses under positive prompts than under negative ones. Columns: those of
``vector_features``.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from personae.data import tables
from personae.data.vector_stacks import stack
from personae.inference.client import EngineClient
from personae.personas.published.autoencoder_files import (
    fetch_autoencoder,
    read_autoencoder,
    read_feature_names,
)
from personae.rollouts.response_means import response_means
from personae.science.sparse_features import feature_rows
from personae.science.steering_arms import VARIANT


def main(
    *,
    traits: Sequence[str],
    vectors: Sequence[str],
    responses: Sequence[str],
    source: Mapping[str, Any],
    weights: str | None,
    names: str | None,
    features: int,
    seed: int,
    path_out: str,
    engine: EngineClient,
    provenance: dict[str, str],
) -> None:
    """Write the features of every kept trait; ``responses`` are its two sides, positive first."""
    layer = source["layer"]
    path = Path(weights) if weights else fetch_autoencoder(source["hub"])
    autoencoder = read_autoencoder(path, engine.info().hidden_size, source["kind"], source["k"])
    named = read_feature_names(Path(names), names) if names else {}
    rows = []
    for index, (trait, file) in enumerate(zip(traits, vectors, strict=True)):
        table = tables.read(file, "trait_vectors")
        if not table.num_rows:  # the filter dropped the trait
            continue
        family = stack(table.filter(pc.equal(table["variant"], VARIANT)), "trait")
        sides = [_means(engine, path, layer) for path in responses[2 * index : 2 * index + 2]]
        vector = family.vectors[0][family.layers.index(layer)]
        shared = {"autoencoder": source["name"], "trait": trait, "layer": layer}
        found = feature_rows(autoencoder, vector, *sides, features, seed, named)
        rows += [{**shared, **row} for row in found]
    table = tables.from_rows(rows, "vector_features")
    tables.write(table, path_out, "vector_features", provenance)


def _means(engine: EngineClient, path: str, layer: int) -> NDArray[np.float32]:
    """Return the mean activations of the responses of one side, ``[n, hidden]``."""
    return response_means(engine, tables.read(path, "trait_responses"), layer)


if __name__ == "__main__":
    from personae.workflow.node import run_model_node

    run_model_node(
        snakemake,
        main,
        traits=snakemake.params.traits,
        vectors=list(snakemake.input.vectors),
        responses=list(snakemake.input.responses),
        source=dict(snakemake.params.source),
        weights=snakemake.input.get("weights"),
        names=snakemake.input.get("names"),
        features=snakemake.params.features,
        seed=snakemake.params.seed,
        path_out=snakemake.output[0],
    )
