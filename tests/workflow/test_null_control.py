"""The negative control: a model of random weights must not reproduce the papers' claims."""

from __future__ import annotations

from pathlib import Path

import pytest

from personae.data import tables
from personae.report.scorecard.decision import REPRODUCED

from .conftest import copy_project

OVERRIDES = [
    "study=null_mini",
    "models=[smollm2_random]",
    # Training takes the longest, and there is nothing that it could teach this model.
    "finetuning={traits: none}",
    "trait_space={names: none}",
]
MOST_BY_CHANCE = 2
"""Of some 45 claims at 5 % at most, few of which have enough units in the smallest study."""


@pytest.mark.full_size
def test_random_weights_reproduce_no_more_than_chance_allows(tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    target = "results/null_mini/scorecard.parquet"
    done = project.snakemake("--config", *OVERRIDES, "--", target)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    card = tables.read(project.root / target, "scorecard").to_pandas()
    claims = card[card.kind == "claim"]
    reproduced = claims[claims.verdict == REPRODUCED]
    assert len(reproduced) <= MOST_BY_CHANCE, reproduced[["claim", "value", "low", "p"]]
    assert len(claims) > 25
