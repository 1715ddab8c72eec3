"""The page for labelling in a real browser: keys, progress, and the saved content."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from personae.report.label_page.label_sample import draw_sample
from personae.report.label_page.read_labels import read_labels
from personae.report.label_page.write_label_page import write_label_page

from .driver import Browser

PRESS = "document.dispatchEvent(new KeyboardEvent('keydown', {key: '%s'}))"


@pytest.fixture
def sample() -> pd.DataFrame:
    """Return a sample of twelve responses."""
    rows = [
        {"arm": "roles", "response_id": f"r{i}", "question": f"Question {i}?",
         "response": f"<i>answer</i> {i}", "rubric": "role_adherence", "target": "pirate",
         "score": float(i % 4)}
        for i in range(12)
    ]  # fmt: skip
    return draw_sample(pd.DataFrame(rows), 12, seed=0)


def test_the_keyboard_labels_every_response_and_the_file_reads_back(
    chromium: Browser, sample: pd.DataFrame, tmp_path: Path
) -> None:
    page = tmp_path / "label.html"
    write_label_page(sample, "demo", page)
    chromium.open("about:blank")
    chromium.log("browser")
    chromium.open(page.as_uri())
    shown = []
    for place in range(len(sample)):
        shown.append(chromium.run("return document.getElementById('response').textContent"))
        chromium.run(PRESS % (place % 4))
    assert shown == sample.response.tolist()
    progress = "return document.getElementById('progress').textContent"
    assert chromium.run(progress).endswith(f"{len(sample)} labelled")
    chromium.run(PRESS % "9")  # outside the scale: ignored
    chromium.run(PRESS % "ArrowLeft")
    chromium.run(PRESS % "s")  # takes a label back
    assert chromium.run(progress).endswith(f"{len(sample) - 1} labelled")
    path = tmp_path / "labels.json"
    path.write_text(chromium.run("return content()"))
    labelled = read_labels(path, sample)
    assert len(labelled) == len(sample) - 1
    expected = dict(zip(sample["item"], [float(i % 4) for i in range(len(sample))], strict=True))
    assert all(expected[row["item"]] == row["label"] for row in labelled.to_dict("records"))
    assert json.loads(path.read_text())["study"] == "demo"
    assert [entry["message"] for entry in chromium.log("browser")] == []
    assert chromium.run("return document.querySelector('#response i')") is None
