"""Monitoring: how well the last prompt token predicts the trait score (PV, monitoring).

The projection is ``<h, u>`` of the *last prompt token*, before any response, on the unit trait
vector of the same layer: it points toward the trait. Layer ``l`` is the residual stream after
block ``l``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from personae.data import tables
from personae.data.judge_scores import in_order
from personae.data.table_values import number_or_none, numbers_or_none
from personae.science.statistics import correlations

FloatArray = NDArray[np.float64]

ALL: Final = "all"


@dataclass(frozen=True)
class Monitored:
    """The monitored rollouts of one trait, in one order.

    Attributes
    ----------
    rollouts
        ``response_id, trait, kind, grade, question_id``, ``n`` rows.
    layers
        The ``L`` layers, ascending.
    projections
        ``[n, L]`` of the last prompt token on the trait vector.
    scores
        ``[n]`` trait score 0-100, NaN where unscored.
    chosen_layer
        Layer that the sweep chose for the trait.
    """

    rollouts: pd.DataFrame
    layers: list[int]
    projections: FloatArray
    scores: FloatArray
    chosen_layer: int

    @classmethod
    def join(
        cls,
        responses: pa.Table,
        projections: pa.Table,
        scores: Mapping[str, float],
        chosen_layer: int,
    ) -> Monitored:
        """Join ``monitored_responses`` with ``prompt_projections`` and trait scores by response.

        Raises
        ------
        KeyError
            When a response has no projection.
        """
        wide = projections.to_pandas().pivot(
            index="response_id", columns="layer", values="projection"
        )
        names = ["response_id", "trait", "kind", "grade", "question_id"]
        rollouts = responses.select(names).to_pandas()
        wide = wide.loc[rollouts.response_id]
        return cls(
            rollouts,
            [int(layer) for layer in wide.columns],
            wide.to_numpy(dtype=np.float64),
            np.asarray(in_order(scores, rollouts.response_id), dtype=np.float64),
            chosen_layer,
        )

    def correlation_table(self) -> pa.Table:
        """Correlate projection and trait score at every layer. Columns of ``monitoring``.

        Pooled over conditions the correlation is inflated by the conditions themselves: a prompt
        that asks for the trait raises both. Within a condition only questions and samples differ.
        There is one row per layer and kind of condition, and for all kinds together; intervals are
        over questions.
        """
        kinds = self.rollouts.kind.to_numpy()
        rows = [
            self._row(kind, column, (kinds == kind) | (kind == ALL))
            for kind in (ALL, *dict.fromkeys(kinds))
            for column in range(len(self.layers))
        ]
        return tables.from_rows(rows, "monitoring")

    def _row(self, kind: str, column: int, keep: NDArray[np.bool_]) -> dict[str, Any]:
        condition = self.rollouts.kind + "/" + self.rollouts.grade.astype(str)
        found = correlations(
            self.projections[keep, column],
            self.scores[keep],
            condition.to_numpy()[keep],
            self.rollouts.question_id.to_numpy()[keep],
        )
        return {
            "trait": self.rollouts.trait.iloc[0],
            "kind": kind,
            "layer": self.layers[column],
            "chosen": self.layers[column] == self.chosen_layer,
            **numbers_or_none(found.pooled.columns("pooled")),
            **numbers_or_none(found.within.columns("within")),
            "n": found.n,
            "n_unscored": found.n_unscored,
            "n_conditions": found.n_conditions,
        }

    def point_table(self) -> pa.Table:
        """Projection at the chosen layer and score of every rollout: ``monitoring_points``."""
        at = self.layers.index(self.chosen_layer)
        rows = [
            {
                **rollout,
                "layer": self.chosen_layer,
                "projection": float(projection),
                "score": number_or_none(score),
            }
            for rollout, projection, score in zip(
                self.rollouts.to_dict("records"), self.projections[:, at], self.scores, strict=True
            )
        ]
        return tables.from_rows(rows, "monitoring_points")
