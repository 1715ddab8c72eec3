"""Synthetic study tables in the declared schemas, with answers planted for the scorecard.

The planted model `good` behaves as both papers say, `flat` shows no effect anywhere. Numbers are
deterministic functions of an index or come from one seeded generator.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from personae.data.schemas import SCHEMAS

N_LAYERS, MIDDLE, HIDDEN = 8, 4, 16
ROLES = [
    "consultant", "teacher", "reviewer", "librarian", "detective", "bard",
    "pirate", "jester", "ghost", "oracle", "hive", "demon",
]  # fmt: skip
TRAITS = ["poetic", "pirate_speech", "sycophantic"]
DOMAINS = ["coding", "writing", "therapy", "philosophy"]
JUDGES = ["likelihood", "embedding"]
BANDS = ["3-4", "2-5"]
PERCENTILES = [1.0, 25.0, 50.0, 75.0]
QUESTIONS = [f"q{i:02d}" for i in range(8)]


@dataclass(frozen=True)
class Planted:
    """How strong the papers' effects are: 1 as published, 0 absent."""

    model: str
    effect: float
    seed: int = 0

    def rng(self, table: str) -> np.random.Generator:
        """Return this table's own random numbers."""
        return np.random.default_rng([self.seed, *table.encode()])


def table(name: str, rows: list[dict[str, Any]] | pd.DataFrame) -> pa.Table:
    """Cast rows to the declared schema; ``vector`` columns become fixed-size binaries."""
    records = rows.to_dict("records") if isinstance(rows, pd.DataFrame) else rows
    schema = SCHEMAS[name]
    if "vector" in schema.names:
        at = schema.get_field_index("vector")
        schema = schema.set(at, pa.field("vector", pa.binary(4 * HIDDEN)))
    return pa.Table.from_pylist(records, schema=schema)


def rollout(response_id: str, question_id: str, text: str, **columns: Any) -> dict[str, Any]:
    """One generated response with the columns that every kind of rollout has."""
    system = columns.pop("system", "You are a pirate.")
    messages = [
        {"role": "system", "content": system},
        {"role": "user", "content": f"Question {question_id}?"},
    ]
    return {
        "response_id": response_id,
        "messages": json.dumps(messages),
        "prompt_ids": [1, 2, 3],
        "response_ids": [4, 5],
        "response": text,
        "finish_reason": "length",
        "seed": 1,
        "system_inserted": "",
        "fired": 2,
        "question": f"Question {question_id}?",
        "question_id": question_id,
        **columns,
    }


def score(response_id: str, rubric: str, target: str, value: float, judge: str) -> dict[str, Any]:
    """One verdict."""
    return {
        "response_id": response_id,
        "rubric": rubric,
        "target": target,
        "judge": judge,
        "primary": judge == JUDGES[0],
        "score": value,
        "raw": f"{value:.2f}",
        "reason": None,
    }
