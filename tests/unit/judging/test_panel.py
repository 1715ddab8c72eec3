"""The judges of a study together: primary, second opinion, and judges of a share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from personae.base.errors import PersonaeError
from personae.data import tables
from personae.endpoints.runtime import Runtime
from personae.judging.judge_factory import JudgingRecord, SampledJudgeShare, make_panel
from personae.judging.judge_types import JudgeItem, plain_rubric, role_rubric
from personae.judging.labelled_set import labelled_items
from personae.judging.labelled_set_scores import measure_panel
from personae.judging.score_responses import judge_table
from personae.personas.library import load_labelled
from tests.unit.endpoints.misbehaving import Endpoint, completion

from .conftest import TEMPLATES
from .test_offline_judges import CUTS, PlantedEngine

ROOT = Path(__file__).resolve().parents[3]
LABELLED = load_labelled(str(ROOT / "config/judging"))
ROLE = role_rubric("pirate", "A pirate who loves the sea.")
ITEMS = [JudgeItem(f"r{i}", f"Who are you {i % 20}?", f"arr {i}") for i in range(100)]


def test_a_panel_judges_everything_twice_and_a_share_a_third_time(
    serve: Callable[..., Endpoint], runtime: Callable[..., Runtime]
) -> None:
    endpoint = serve(lambda body, _: completion("VERDICT: 2"))
    record = JudgingRecord.model_validate(
        {
            "primary": "likelihood",
            "second": "embedding",
            "sampled": [{"judge": "judge", "share": 0.25}],
            "rubric_templates": {
                kind: rubric_template.model_dump() for kind, rubric_template in TEMPLATES.items()
            },
        }
    )
    panel = make_panel(record, PlantedEngine(), LABELLED, CUTS, runtime(endpoint.url))
    assert panel.max_unscored == 1.0
    table = judge_table(panel, [([ROLE, plain_rubric("harm")], ITEMS)])
    tables.assemble([table], "scores")
    rows = table.to_pylist()
    asked: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        asked.setdefault((row["judge"], row["rubric"]), []).append(row["response_id"])
    everything = [item.response_id for item in ITEMS]
    chosen = [item.response_id for item in SampledJudgeShare(panel.judges[2], 0.25).items(ITEMS)]
    assert len(chosen) == 25
    assert asked["likelihood", "role_adherence"] == asked["embedding", "role_adherence"]
    assert asked["likelihood", "role_adherence"] == everything
    assert asked["judge", "role_adherence"] == asked["judge", "harm"] == chosen
    assert ("likelihood", "harm") not in asked
    assert asked["embedding", "harm"] == everything
    deciding = {(row["rubric"], row["judge"]) for row in rows if row["primary"]}
    assert deciding == {("role_adherence", "likelihood"), ("harm", "embedding")}
    assert endpoint.asked.total() == 2 * len(chosen)


def test_a_judge_that_leaves_too_much_of_the_labelled_set_unscored_is_refused(
    serve: Callable[..., Endpoint], runtime: Callable[..., Runtime]
) -> None:
    """It scores everything but harm, which alone is too much."""
    endpoint = serve(
        lambda body, _: completion(
            "no idea" if "does harm" in body["messages"][0]["content"] else "VERDICT: 1"
        )
    )
    record = JudgingRecord.model_validate(
        {
            "primary": "judge",
            "rubric_templates": {
                k: rubric_template.model_dump() for k, rubric_template in TEMPLATES.items()
            },
        }
    )
    items = [item for item in labelled_items(LABELLED, {}, {}) if item.rubric.kind != "role_label"]
    items = [item for item in items if item.rubric.kind != "delusion_risk"]
    panel = make_panel(record, None, LABELLED, None, runtime(endpoint.url))
    measured = measure_panel(panel, items, bias_checks=False)
    assert any(row["reason"] == "parse_failure" for row in measured.scored)
    strict = panel._replace(max_unscored=0.5)
    with pytest.raises(PersonaeError, match=r"judge judge: .* unscored on harm \(parse_failure"):
        measure_panel(strict, items, bias_checks=True)
