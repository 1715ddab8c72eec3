"""Responses of training data and the model's own, projected on trait vectors (PV, screening)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from personae.api.requests import ActivationRow, Message, RenderRow
from personae.api.rollout import Rollout, chat, seed_of
from personae.data.vector_stacks import Stack, stack
from personae.inference.client import EngineClient
from personae.personas.library import TrainingExample
from personae.rollouts.extraction import activation_table
from personae.rollouts.response_means import SPAN, response_requests
from personae.science.chosen_vectors import ChosenVector

Datasets = Mapping[str, Sequence[TrainingExample]]
"""Rows of training data by the name of the dataset."""


class _Asked(NamedTuple):
    """A prompt with the dataset and row that it is first met in."""

    dataset: str
    row: int
    text: str


def _prompts(datasets: Datasets) -> dict[str, _Asked]:
    """Return every prompt once, by its id: the levels of a trait share theirs."""
    found: dict[str, _Asked] = {}
    for dataset, examples in datasets.items():
        for row, example in enumerate(examples):
            found.setdefault(example.id, _Asked(dataset, row, example.prompt))
    return found


def own_rollouts(datasets: Datasets, samples: int, seed: int) -> list[Rollout]:
    """Ask the model for its own answers to every prompt, without system prompt."""
    return [
        Rollout(
            id=f"{prompt_id}-s{sample}",
            messages=chat(None, asked.text),
            seed=seed_of(seed, "screening", prompt_id, sample),
            columns={
                "dataset": asked.dataset,
                "row": asked.row,
                "sample": sample,
                "question": asked.text,
            },
        )
        for prompt_id, asked in _prompts(datasets).items()
        for sample in range(samples)
    ]


def screened_rows(
    engine: EngineClient,
    datasets: Datasets,
    answers: pa.Table,
    vectors: Mapping[str, ChosenVector],
) -> list[dict[str, Any]]:
    """Project every training response, and the own answers to its prompt, on every vector.

    Parameters
    ----------
    answers
        Table ``own_answers``.
    vectors
        Trait vectors at their chosen layers.

    Returns
    -------
    list of dict
        Rows of ``screened_rows``; projections are ``<h, v> / |v|^2``, in units of the vector's
        length. ``own`` is the mean over the model's own answers, ``own_first`` the first alone;
        empty answers count as none. A row without an own answer is left out.
    """
    if not vectors:
        return []
    requests = [*_training_rows(engine, datasets), *response_requests(answers)]
    layers = sorted({vector.layer for vector in vectors.values()})
    found = stack(activation_table(engine.activations(requests, layers=layers)), "response_id")
    place = {key: i for i, key in enumerate(found.keys)}
    return [
        row
        for trait, vector in vectors.items()
        for row in _projected(datasets, _along(found, vector), place, trait, vector.layer)
    ]


def _along(found: Stack, chosen: ChosenVector) -> NDArray[np.float64]:
    vector = chosen.vector.astype(np.float64)
    at = found.vectors[:, found.layers.index(chosen.layer)].astype(np.float64)
    return np.asarray(at @ vector / (vector @ vector), dtype=np.float64)


def _projected(
    datasets: Datasets,
    values: NDArray[np.float64],
    place: Mapping[str, int],
    trait: str,
    layer: int,
) -> Iterator[dict[str, Any]]:
    own: dict[str, list[float]] = {}
    for key, at in place.items():
        prompt_id, _, sample = key.rpartition("-s")
        if sample and not key.startswith("training/"):
            own.setdefault(prompt_id, []).append(float(values[at]))
    for dataset, examples in datasets.items():
        for row, example in enumerate(examples):
            if answered := own.get(example.id):
                yield {
                    "dataset": dataset,
                    "row": row,
                    "prompt_id": example.id,
                    "trait": trait,
                    "layer": layer,
                    "training": float(values[place[_name(dataset, row)]]),
                    "own": float(np.mean(answered)),
                    "own_first": answered[0],
                    "n_own": len(answered),
                }


def _name(dataset: str, row: int) -> str:
    return f"training/{dataset}/{row:06d}"


def _training_rows(engine: EngineClient, datasets: Datasets) -> list[ActivationRow]:
    """Render training exchanges once, and take the tokens of their responses."""
    chats = [
        RenderRow(
            id=_name(dataset, row),
            messages=[
                Message(role="user", content=example.prompt),
                Message(role="assistant", content=example.response),
            ],
        )
        for dataset, examples in datasets.items()
        for row, example in enumerate(examples)
    ]
    return [
        ActivationRow(
            id=rendered.id,
            token_ids=list(rendered.token_ids[: rendered.turns[-1].end]),
            n_prompt=rendered.turns[-1].start,
            spans=[rendered.turns[-1].model_copy(update={"name": SPAN})],
        )
        for rendered in engine.render(chats)
    ]
