"""Claims on what a small study leaves of a table: no row, or one value of what a study chooses."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from personae.data import tables
from personae.data.table_values import DEFAULT
from personae.report.scorecard.all_claims import CLAIMS
from personae.report.scorecard.claim import Claim
from personae.report.scorecard.decision import decide
from personae.report.scorecard.evidence import SCHEMA_OF, Evidence
from personae.report.scorecard.scoring import measured
from personae.science.heldout_roles import EVERY_ROLE

from .synthetic.basics import Planted
from .synthetic.study import MODELS, Study, model_tables, provenance, schema_of
from .test_scorecard import evidence

CHOSEN = ("role", "trait", "domain", "conversation", "kind", "arm", "persona", "question_id")
"""Columns whose values a study chooses; the default Assistant is in every study."""


@dataclass(frozen=True)
class Spy(Evidence):
    """Evidence that records which tables are read."""

    seen: set[str] = field(default_factory=set)

    def read(
        self, name: str, columns: list[str] | None = None, filters: Any = None
    ) -> pd.DataFrame:
        self.seen.add(name)
        return super().read(name, columns, filters)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The tables of one model, without figures."""
    made = Study(tmp_path_factory.mktemp("small") / "demo", {"good": MODELS["good"]})
    for place, table in model_tables(Planted("good", 1.0)).items():
        tables.write(table, made.table("good", place), schema_of(place), provenance("good"))
    return made


def cuts(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Yield a table without rows, without one value of a column, and with that one alone."""
    yield "no row", table.slice(0, 0)
    for column in sorted(set(CHOSEN) & set(table.column_names)):
        cells = np.array(table[column].to_pylist())
        values = [value for value in pd.unique(cells) if value not in (DEFAULT, EVERY_ROLE)]
        if len(values) > 1:
            yield f"no {column} {values[0]}", table.filter(pa.array(cells != values[0]))
            away = np.isin(cells, values[1:])
            yield f"only {column} {values[0]}", table.filter(pa.array(~away))


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_a_claim_is_decided_or_untestable_whatever_is_missing(
    claim: Claim, study: Study, tmp_path: Path
) -> None:
    whole = evidence(study, draws=5)
    spy = Spy(**vars(whole))
    measured(claim, spy)
    wrong = []
    for name in sorted(spy.seen & {name for name, files in whole.files.items() if files}):
        table = pa.concat_tables(tables.read(path, SCHEMA_OF[name]) for path in whole.files[name])
        for number, (how, cut) in enumerate(cuts(table)):
            path = tmp_path / f"{name}-{number}.parquet"
            tables.write(cut, path, SCHEMA_OF[name], {})
            little = replace(whole, files={**whole.files, name: [str(path)]})
            try:
                with warnings.catch_warnings(action="ignore"):
                    outcome = measured(claim, little)
                    decide(claim, outcome, 1.0)
            except Exception as error:  # whatever comes is what is wrong
                wrong.append(f"{name}, {how}: {type(error).__name__}: {error}")
                continue
            if re.search(r"\bnan\b", str(getattr(outcome, "detail", ""))):
                wrong.append(f"{name}, {how}: {outcome}")
    assert wrong == []
