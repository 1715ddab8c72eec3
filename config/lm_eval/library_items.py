"""Data and scoring of the tasks in this folder, which lm-eval loads; both are the library's own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import datasets
import yaml

_PROJECT = Path(__file__).resolve().parents[2]
_QUESTIONS = _PROJECT / "config" / "questions"


def closed_questions(**_: Any) -> dict[str, datasets.Dataset]:
    """Return the closed questions as the split ``test``."""
    return {"test": datasets.Dataset.from_list(_items("closed_answers.yaml"))}


def capability_items(**_: Any) -> dict[str, datasets.Dataset]:
    """Return the capability items as the split ``test``; a column has one type, hence the text."""
    records = [
        {"question": item["question"], "item": yaml.safe_dump(item)}
        for item in _items("capability.yaml")
    ]
    return {"test": datasets.Dataset.from_list(records)}


def score_exact(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Return whether the response is correct, by the same rules as in a study."""
    sys.path.insert(0, str(_PROJECT / "scripts"))
    from personae.science.answer_checks import is_correct

    item = {"answers": [], "wrong": [], "rule": None, "value": None, **yaml.safe_load(doc["item"])}
    return {"exact": float(is_correct(results[0], item))}


def _items(name: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = yaml.safe_load((_QUESTIONS / name).read_text())["items"]
    return items
