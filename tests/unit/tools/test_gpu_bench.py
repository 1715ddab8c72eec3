"""The GPU benchmark on a tiny shape: every line is measured or marked as not measured."""

from __future__ import annotations

import pytest

from personae.tools.bench.gpu_arms import ARMS
from personae.tools.bench.gpu_bench import render_table
from personae.tools.bench.gpu_shapes import SHAPES


@pytest.mark.parametrize("arm", ["torch kind", "transformers"])
def test_every_line_of_a_side_is_measured(arm: str) -> None:
    rates = ARMS[arm](SHAPES["tiny"])
    assert {"rollouts, 4 rows", "rollouts, 8 rows", "extraction", "likelihoods"} <= set(rates)
    assert all(rate > 0 for rate in rates.values())


def test_the_table_never_shows_a_figure_that_was_not_measured() -> None:
    table = render_table(
        "tiny",
        {
            "vllm kind": "ModelError: no vLLM",
            "plain vLLM": "ModuleNotFoundError: no vLLM",
            "torch kind": {"extraction": 1900.0},
            "transformers": {"extraction": 2000.0},
        },
    )
    row = "| extraction | torch kind | 1,900 | transformers, extraction | 2,000 | 0.95 | 0.95 |"
    assert row in table.splitlines()
    assert table.count("not measured") > 20
    assert "Not measured: vllm kind: ModelError: no vLLM" in table
