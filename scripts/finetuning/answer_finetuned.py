"""Ask the adapters of one trait's training data, and the model before training (PV, fine-tuning).

Evaluation questions of every trait of the study, the residual stream of their last prompt token at
the chosen layers, and closed questions. The adapter of the strongest level without defence is asked
once more while it is steered against its trait. All in one process, so that arms differ in weights
and steering alone. Tables: ``finetuned_responses``, ``activations``, ``closed_answers``.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from personae.api.requests import EngineSpec
from personae.data import tables
from personae.inference.client.row_cache import KeptRows
from personae.inference.weights_manifest import file_digests
from personae.rollouts.finetuned_rollouts import AskedAdapter, ask_adapter
from personae.science.chosen_vectors import ChosenVector, chosen_vector


def main(
    *,
    asked: Mapping[str, Any],
    adapters: Sequence[str],
    vectors: Sequence[str],
    layers: Sequence[str],
    paths_out: Mapping[str, str],
    machine: EngineSpec,
    kept: KeptRows,
    provenance: dict[str, str],
) -> None:
    """Write the answers of all arms.

    Parameters
    ----------
    asked
        Adapters and questions, from `personae.workflow.node_params.finetuned_answers`.
    adapters
        Folders of the adapters, in the order of ``asked["adapters"]``.
    vectors, layers
        Vectors and chosen layers of all traits, in the order of ``asked["questions"]``.
    kept
        Rows of an attempt that was ended before.
    """
    chosen = {
        trait: chosen_vector(*files)
        for trait, files in zip(asked["questions"], zip(vectors, layers, strict=True), strict=True)
    }
    parts = [
        ask_adapter(engine, arm, asked, {t: v for t, v in chosen.items() if v is not None})
        for engine, arm in _arms(asked, adapters, chosen, machine, kept)
    ]
    for kind, path in paths_out.items():
        made = tables.assemble([getattr(part, kind) for part in parts], kind)
        tables.write(made, path, kind, provenance)


def _arms(
    asked: Mapping[str, Any],
    adapters: Sequence[str],
    chosen: Mapping[str, ChosenVector | None],
    machine: EngineSpec,
    kept: KeptRows,
) -> Iterator[tuple[Any, AskedAdapter]]:
    """Yield every arm with its engine, one model in memory at a time."""
    # Imported here: torch, which only the running node needs.
    from personae.inference.local_engine import LocalEngine
    from personae.inference.torch_engine.engine import Engine

    trained = asked["trained"]
    yield LocalEngine(Engine(machine), kept), AskedAdapter.base(trained)
    for (name, arm), folder in zip(asked["adapters"].items(), adapters, strict=True):
        if not (Path(folder) / "adapter_config.json").is_file():
            continue  # the filter dropped the trait whose vector it was to be trained with
        steered = name == asked["steered"] and chosen[trained] is not None
        coefficients = (0.0, *asked["coefficients"]) if steered else (0.0,)
        arm = AskedAdapter(name, trained, arm["level"], arm["arm"], coefficients)
        files = json.dumps(file_digests(Path(folder)), sort_keys=True)
        yield LocalEngine(Engine(machine, Path(folder)), kept, files), arm


if __name__ == "__main__":
    from personae.workflow.node import run_local_model_node

    run_local_model_node(
        snakemake,
        main,
        asked=dict(snakemake.params.asked),
        adapters=list(snakemake.input.adapters),
        vectors=list(snakemake.input.vectors),
        layers=list(snakemake.input.layers),
        paths_out={
            "finetuned_responses": snakemake.output.responses,
            "activations": snakemake.output.prompts,
            "closed_answers": snakemake.output.closed,
        },
    )
