"""Ask an adapter what measures it: responses, last prompt tokens, closed questions (PV)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from personae.api.requests import Intervention, Positions, Sampling
from personae.api.rollout import Rollout, chat, seed_of
from personae.data import tables
from personae.inference.local_engine import LocalEngine
from personae.rollouts.capping_cost import closed_rows, closed_values
from personae.rollouts.extraction import activation_table, last_prompt_rows
from personae.rollouts.responses import generate_responses
from personae.science.capping_arms import CappingArm
from personae.science.chosen_vectors import ChosenVector
from personae.science.finetuning_shift import BASE

_VECTOR: Final = "trait"
"""Key of the trained trait's vector in a request."""


@dataclass(frozen=True)
class AskedAdapter:
    """An adapter and the coefficients with which it is steered; 0 is unsteered."""

    adapter: str
    trained: str
    level: str
    arm: str
    coefficients: Sequence[float] = (0.0,)

    @classmethod
    def base(cls, trained: str) -> Self:
        """Return the model before training."""
        return cls(BASE, trained, "", BASE)

    @property
    def columns(self) -> dict[str, str]:
        """Columns that all tables about it share."""
        return {"adapter": self.adapter, "trained": self.trained, "arm": self.arm}


class AdapterAnswers(NamedTuple):
    """Tables of one adapter; the fields are named as their kinds."""

    finetuned_responses: pa.Table
    activations: pa.Table
    closed_answers: pa.Table


def ask_adapter(
    engine: LocalEngine,
    arm: AskedAdapter,
    asked: Mapping[str, Any],
    vectors: Mapping[str, ChosenVector],
) -> AdapterAnswers:
    """Ask one adapter everything.

    Parameters
    ----------
    engine
        Runs the adapter.
    arm
        Who it is, and how it is steered.
    asked
        Questions and settings, from `personae.workflow.node_params.finetuned_answers`.
    vectors
        Kept trait vectors at their layers: that of the trained trait steers, and the layers of all
        are those whose last prompt token is kept.
    """
    own = vectors.get(arm.trained)
    named = {_VECTOR: own.vector} if own is not None and any(arm.coefficients) else {}
    rollouts = finetuned_rollouts(arm, asked, own.layer if own else None)
    responses = generate_responses(
        engine, rollouts, Sampling(**asked["sampling"]), "finetuned_responses", named
    )
    first = responses.filter(
        pc.and_(pc.equal(responses["sample"], 0), pc.equal(responses["coefficient"], 0.0))
    )
    layers = sorted({v.layer for v in vectors.values()})
    prompts = engine.activations(last_prompt_rows(first), layers=layers) if layers else None
    return AdapterAnswers(
        responses,
        tables.from_rows([], "activations") if prompts is None else activation_table(prompts),
        tables.from_rows(_closed(engine, arm, asked, own, named), "closed_answers"),
    )


def finetuned_rollouts(
    arm: AskedAdapter, asked: Mapping[str, Any], layer: int | None
) -> list[Rollout]:
    """Cross the questions of every trait with coefficients and samples, without system prompt.

    Steered arms are asked the trained trait's own questions only. The seed depends on trait,
    question and sample alone: adapters and arms differ in nothing else.
    """
    return [
        Rollout(
            id=f"{arm.adapter}-c{coefficient:g}-{trait}-{question_id}-s{sample}",
            messages=chat(None, text),
            seed=seed_of(asked["seed"], "finetuning", trait, question_id, sample),
            columns={
                **arm.columns,
                "level": arm.level,
                "coefficient": coefficient,
                "trait": trait,
                "question_id": question_id,
                "question": text,
                "sample": sample,
            },
            interventions=steering(coefficient, layer, asked["positions"]),
        )
        for coefficient in arm.coefficients
        for trait, questions in asked["questions"].items()
        if coefficient == 0 or trait == arm.trained
        for question_id, text in questions
        for sample in range(asked["samples"])
    ]


def steering(
    coefficient: float, layer: int | None, positions: Positions
) -> tuple[Intervention, ...]:
    """Return the intervention of a coefficient; none for 0 or without a layer."""
    if coefficient == 0 or layer is None:
        return ()
    return (
        Intervention(
            op="add", layer=layer, vector=_VECTOR, coefficient=coefficient, positions=positions
        ),
    )


def _closed(
    engine: LocalEngine,
    arm: AskedAdapter,
    asked: Mapping[str, Any],
    own: ChosenVector | None,
    vectors: Mapping[str, NDArray[np.float32]],
) -> list[dict[str, Any]]:
    """Return 1 or 0 for every closed question under every coefficient.

    # ASSUME: closed questions are steered at all tokens, as the scored choice is the response.
    """
    rows = []
    for coefficient in arm.coefficients:
        held = steering(coefficient, own.layer if own else None, "all")
        scored = engine.loglikelihood(closed_rows(asked["closed"], held), vectors)
        rows += [
            {
                **arm.columns,
                "coefficient": coefficient,
                "item": value["item"],
                "correct": value["value"],
            }
            for value in closed_values(CappingArm(), asked["closed"], scored)
        ]
    return rows
