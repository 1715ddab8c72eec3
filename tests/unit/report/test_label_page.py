"""The page for labelling: blinded, stratified, escaped; and what its labels give."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from personae.base.errors import PersonaeError
from personae.data import tables
from personae.report.label_page.label_sample import draw_sample
from personae.report.label_page.read_labels import labelled_arms, read_labels, write_scores
from personae.report.label_page.write_label_page import write_label_page


@pytest.fixture
def responses() -> pd.DataFrame:
    """Return 300 responses of two arms; the judge is 10 points too high on traits."""
    rows = []
    for i in range(300):
        trait = i % 3 > 0
        rows.append(
            {
                "arm": "steering" if trait else "roles",
                "response_id": f"secret-arm-{i}",
                "question": f"Question {i % 15}?",
                "response": f"answer {i} </script><b>bold</b>",
                "rubric": "trait" if trait else "role_adherence",
                "target": "poetic" if trait else "pirate",
                "score": float(10 + i % 80) if trait else float(i % 4),
            }
        )
    return pd.DataFrame(rows)


def test_the_sample_covers_every_stratum_and_weighs_them(responses: pd.DataFrame) -> None:
    sample = draw_sample(responses, 60, seed=0)
    assert set(sample.arm) == {"steering", "roles"}
    assert sample.weight.sum() == pytest.approx(300)
    for rubric, rows in sample.groupby("rubric"):
        top = 3.0 if rubric == "role_adherence" else 100.0
        assert (rows.score < top / 3).any()
        assert (rows.score > top / 2).any()
    assert sample["item"].tolist() == draw_sample(responses, 60, seed=0)["item"].tolist()
    assert sample["item"].tolist() != draw_sample(responses, 60, seed=1)["item"].tolist()


def test_the_page_is_blinded_self_contained_and_escaped(
    responses: pd.DataFrame, tmp_path: Path
) -> None:
    sample = draw_sample(responses, 30, seed=0)
    write_label_page(sample, "demo", tmp_path / "label.html")
    page = (tmp_path / "label.html").read_text("utf-8")
    assert "secret-arm" not in page
    assert "steering" not in page
    assert "http" not in page
    assert page.count("</script>") == 1
    assert "<b>bold" not in page
    assert all(item in page for item in sample["item"])


def test_labels_come_back_as_a_judge_and_correct_its_mean(
    responses: pd.DataFrame, tmp_path: Path
) -> None:
    sample = draw_sample(responses, 90, seed=0)
    given = [
        {
            "item": r["item"],
            "label": max(r["score"] - 10, 0) if r["rubric"] == "trait" else r["score"],
        }
        for r in sample.to_dict("records")
    ]
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({"study": "demo", "labels": given}))
    labelled = read_labels(path, sample)
    write_scores(labelled, tmp_path / "people.parquet")
    scores = tables.read(tmp_path / "people.parquet", "scores").to_pandas()
    assert set(scores.judge) == {"people"}
    assert len(scores) == len(sample)
    arms = {arm.arm: arm for arm in labelled_arms(responses, labelled)}
    steering = arms["steering"]
    assert steering.corrected.estimate == pytest.approx(steering.raw - 10, abs=0.5)
    assert steering.corrected.low < steering.raw - 10 < steering.corrected.high
    assert arms["roles"].corrected.estimate == pytest.approx(arms["roles"].raw, abs=0.05)
    assert arms["roles"].kappa == 1.0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("not json", "not a file that the page saved"),
        ('{"labels": [{"item": "zzz", "label": 1}]}', "of another sample"),
    ],
)
def test_files_of_something_else_are_refused(
    responses: pd.DataFrame, tmp_path: Path, content: str, said: str
) -> None:
    path = tmp_path / "labels.json"
    path.write_text(content)
    with pytest.raises(PersonaeError, match=said):
        read_labels(path, draw_sample(responses, 30, seed=0))
