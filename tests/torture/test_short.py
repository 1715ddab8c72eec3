"""The short form of `make torture`: damage to tables of several kinds, seeded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from personae.data import tables

from .answers import damage_answers
from .files import cut, flip_bits, swap

_SEED = 5


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Write four kinds of table of two roles, as nodes do."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(_SEED)
    ids = [f"r{i}" for i in range(900)]
    for role in ("pirate", "wizard"):
        rows: dict[str, list[dict[str, Any]]] = {
            "scores": [{"response_id": i, "raw": role, "score": rng.random()} for i in ids],
            "prompt_projections": [
                {"response_id": i, "layer": n % 3, "projection": rng.normal()}
                for n, i in enumerate(ids)
            ],
            "role_responses": [{"response_id": i, "response_ids": [1, 2]} for i in ids],
            "cosines": [{"layer": 1, "left": role, "right": i, "cosine": 0.5} for i in ids],
        }
        for kind, records in rows.items():
            table = tables.from_rows(records, kind)
            name = f"results/s/{role}/{kind}.parquet"
            tables.write(table, name, kind, {"outputs": json.dumps([name])})
    return sorted(tmp_path.rglob("*.parquet"))


def test_no_flipped_bit_comes_through(written: list[Path]) -> None:
    assert flip_bits(written, 400, _SEED) == []


def test_every_cut_is_found(written: list[Path]) -> None:
    assert cut(written, 200, _SEED) == []


def test_every_swap_is_refused(written: list[Path], tmp_path: Path) -> None:
    assert swap(tmp_path, written, 200, _SEED) == []


def test_no_damaged_answer_is_read(tmp_path: Path) -> None:
    assert damage_answers(tmp_path, 300, _SEED) == []
