"""Judge how fully one role was played, response by response.

Role adherence 0-3 by the primary judge and the second opinion; an unscored response keeps its raw
text and its reason and gets no number (AA, judge). Columns: those of ``scores``.
"""

from collections.abc import Mapping
from typing import Any

from personae.data import tables
from personae.inference.client import EngineClient
from personae.judging.judge_types import role_rubric
from personae.judging.score_responses import items_of, judge_table, load_panel


def main(
    *,
    responses: str,
    calibration: str,
    role: Mapping[str, Any],
    judging: Mapping[str, Any],
    labelled: str,
    path_out: str,
    config: Mapping[str, Any],
    engine: EngineClient | None,
    provenance: dict[str, str],
) -> None:
    """Write one row per response and judge."""
    panel = load_panel(judging, engine, labelled, tables.read(calibration, "calibration"), config)
    items = items_of(tables.read(responses, "role_responses"))
    rubric = role_rubric(**role)
    tables.write(judge_table(panel, [([rubric], items)]), path_out, "scores", provenance)


if __name__ == "__main__":
    from personae.workflow.node import judge_arguments, run_judge_node

    run_judge_node(snakemake, main, role=snakemake.params.role, **judge_arguments(snakemake))
