"""Train one LoRA adapter on training data of a trait (PV, fine-tuning shift).

Plain, or with the trait vector added to the residual stream (preventative steering) or projected
out of it (ablation) during training, at the layer that the sweep chose. The adapter's folder is in
PEFT's layout and may be named in the model table. Table: ``training_losses``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from personae.api.requests import EngineSpec
from personae.base.atomic_files import replacing_folder
from personae.data import tables
from personae.science.chosen_vectors import chosen_vector


def main(
    *,
    training: Mapping[str, Any],
    vectors: str | None,
    layer: str | None,
    path_adapter: str,
    path_losses: str,
    machine: EngineSpec,
    provenance: dict[str, str],
) -> None:
    """Write the adapter and one row per optimiser step; neither weights nor rows without a vector.

    ``vectors`` and ``layer`` are of the trait, and None for plain training.
    """
    # Imported here: torch, which only the running node needs.
    from personae.inference.lora_training import LoraSettings, train_adapter
    from personae.inference.training_hooks import StreamHold

    hold, steps = None, []
    if vectors and layer:
        chosen = chosen_vector(vectors, layer)
        hold = chosen and StreamHold(layer=chosen.layer, vector=chosen.vector, **training["hold"])
    with replacing_folder(Path(path_adapter)) as folder:
        if training["hold"] is None or hold is not None:
            steps = train_adapter(
                Path(machine.model),
                [(prompt, response) for prompt, response in training["exchanges"]],
                LoraSettings(**training["lora"]),
                hold,
                folder,
                device=machine.device,
                dtype=machine.dtype,
                threads=machine.threads,
            )
    rows = [
        {"adapter": training["adapter"], "step": index, **step._asdict()}
        for index, step in enumerate(steps)
    ]
    losses = tables.from_rows(rows, "training_losses")
    tables.write(losses, path_losses, "training_losses", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_training_node

    run_training_node(
        snakemake,
        main,
        training=dict(snakemake.params.training),
        vectors=snakemake.input.get("vectors"),
        layer=snakemake.input.get("layer"),
        path_adapter=snakemake.output.adapter,
        path_losses=snakemake.output.losses,
    )
