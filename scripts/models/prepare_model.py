"""Bring a model into the one form that the engine loads: safetensors, tokenizer and a manifest.

Sources: an installed package that carries weights (GGUF is converted once), a Hugging Face id at a
pinned commit, or a local folder. The manifest holds the weights' digest, the number of layers and
the hidden size.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from personae.inference.model_config import ModelShape
from personae.inference.weights_manifest import ModelSource
from personae.inference.weights_preparation import prepare_model


def main(*, row: Mapping[str, Any], folder: str, provenance: dict[str, str]) -> None:
    """Write ``folder/weights`` and ``folder/manifest.json``, and compare them with the table.

    Raises
    ------
    ModelError
        When the source is missing, or the model table states another shape than the weights have.
    """
    source = ModelSource(**{name: row[name] for name in ModelSource.model_fields})
    prepare_model(source, Path(folder), ModelShape("", row["n_layers"], row["hidden_size"]))


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        row=snakemake.params.row,
        folder=str(Path(snakemake.output.manifest).parent),
    )
