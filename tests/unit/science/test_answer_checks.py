"""Responses to capability items: right or wrong by rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydantic import ValidationError
from scipy.stats import binomtest

from personae.personas.library import CapabilityItem, load_library
from personae.personas.library.settings import LibrarySection
from personae.science.answer_checks import is_correct
from personae.science.capability import capability_changes, mcnemar

PROJECT = Path(__file__).resolve().parents[3]


def item(kind: str, **fields: Any) -> dict[str, Any]:
    """Return an item as a node gets it."""
    return CapabilityItem(id="one", kind=kind, question="A question?", **fields).model_dump()


SEVEN = {"answers": ["7", "seven"]}
BERLIN = {"answers": ["Berlin"], "wrong": ["Bonn"]}


@pytest.mark.parametrize(
    ("kind", "fields", "response", "right"),
    [
        ("arithmetic", SEVEN, "3 + 4 = 7.", True),
        ("arithmetic", SEVEN, "3 + 4 = 7, because 7 - 4 is 3.", True),
        ("arithmetic", SEVEN, "3 + 4 = 8, not 7.", False),
        ("arithmetic", SEVEN, "The answer is 7.0", True),
        ("arithmetic", SEVEN, "You have seven apples.", True),
        ("arithmetic", SEVEN, "Seventeen.", False),
        ("arithmetic", SEVEN, "-7", False),
        ("arithmetic", SEVEN, "If you take 2 from 9, you have 7", True),
        ("arithmetic", {"answers": ["1250"]}, "It is 1,250.", True),
        ("arithmetic", SEVEN, "", False),
        ("facts", BERLIN, "The capital is BERLIN!", True),
        ("facts", BERLIN, "Berliners", False),
        ("facts", BERLIN, "Berlin, before that Bonn", False),
        ("facts", {"answers": ["H2O", "H₂O"]}, "H₂O", True),
        ("reading", {"answers": ["2nd"]}, "On the 2nd floor", True),
    ],
)
def test_answers_are_found_as_whole_words_and_numbers(
    kind: str, fields: dict[str, Any], response: str, right: bool
) -> None:
    assert is_correct(response, item(kind, **fields)) == right


@pytest.mark.parametrize(
    ("rule", "value", "obeys", "breaks"),
    [
        ("words", 1, '"Cat."', "A cat."),
        ("most_words", 3, "A small star", "The Sun is a star"),
        ("most_words", 3, "star", "..."),
        ("upper", None, "HELLO!", "HELLO there"),
        ("lower", None, "hello!", "Hello"),
        ("number", None, "5.", "5 fingers"),
        ("one_of", ["yes", "no"], "Yes.", "Yes, it is."),
        ("begins", "Once upon", "once upon a time", "A king, once upon a time"),
        ("ends", "?", "How are you?", "Who? Me."),
        ("ends", "done", "It is done.", "Done is it"),
        ("contains", "lamp", "A Lamp shines.", "The lamps shine."),
        ("items", 3, "apple, pear, plum.", "apple, pear"),
        ("items", 3, "a, b, c", "a,\nb, c"),
        ("lines", 2, "red\n\nblue", "red blue"),
        ("lacks", ",", "A house.", "Walls, roof"),
        ("lacks", ",", "A house.", ""),
    ],
)
def test_a_format_is_obeyed_or_broken(rule: str, value: Any, obeys: str, breaks: str) -> None:
    asked = item("format", rule=rule, value=value)
    assert is_correct(obeys, asked)
    assert not is_correct(breaks, asked)


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        ("format", {"answers": ["x"]}, "needs a rule"),
        ("facts", {}, "needs answers"),
        ("facts", {"answers": ["x"], "rule": "upper"}, "no other has one"),
        ("arithmetic", {"answers": ["1"], "wrong": ["2"]}, "only for the kinds"),
        ("format", {"rule": "words", "value": "two"}, "takes a value of type int"),
        ("format", {"rule": "upper", "value": 1}, "takes no value"),
        ("format", {"rule": "one_of"}, "takes a value of type list"),
    ],
)
def test_an_item_that_cannot_be_checked_is_refused(
    kind: str, fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        item(kind, **fields)


def test_the_shipped_items_are_many_of_every_kind_and_their_answers_pass() -> None:
    items = load_library(LibrarySection(), PROJECT).capability
    assert len(items) >= 150
    kinds = pd.Series([one.kind for one in items]).value_counts()
    assert kinds.min() >= 30
    for one in items:
        for answer in one.answers:
            assert is_correct(answer, one.model_dump()), one.id
        wrong = (
            "I do not know...\n\nWell,\nno.\nSorry, Sir. "
            + "Really, I do not know that at all. " * 3
        )
        assert not is_correct(wrong, one.model_dump()), one.id


def test_changes_are_paired_by_item_and_counted_by_kind() -> None:
    right = {"none": [1, 1, 1, 0, 0, 1], "axis": [1, 0, 0, 1, 0, 0]}
    answers = pd.DataFrame(
        {
            "direction": arm, "band": "" if arm == "none" else "3-4",
            "percentile": None if arm == "none" else 25.0, "kind": "facts" if i < 3 else "format",
            "item": f"i{i}", "correct": bool(value),
        }
        for arm, values in right.items()
        for i, value in reversed(list(enumerate(values)))  # rows need no order
    )  # fmt: skip
    rows = {(row["direction"], row["kind"]): row for row in capability_changes(answers)}
    assert rows["none", "all"]["accuracy"] == pytest.approx(4 / 6)
    assert "change" not in rows["none", "all"]
    found = rows["axis", "all"]
    assert (found["n"], found["lost"], found["gained"]) == (6, 3, 1)
    assert found["change"] == pytest.approx(-2 / 6)
    assert found["change_low"] < found["change"] < found["change_high"]
    assert found["p"] == pytest.approx(binomtest(1, 4).pvalue)
    assert rows["axis", "facts"]["change"] == pytest.approx(-2 / 3)
    assert rows["axis", "format"]["change"] == pytest.approx(0.0)


def test_a_loss_of_ten_points_is_seen_with_the_shipped_number_of_items() -> None:
    assert mcnemar(lost=20, gained=4) < 0.05 < mcnemar(lost=8, gained=6)
    assert mcnemar(0, 0) == 1.0
