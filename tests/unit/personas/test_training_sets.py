"""Training data of the library, and JSONL files of users."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from personae.personas.library import (
    LibraryError,
    TrainingExample,
    load_library,
    read_training_file,
)
from personae.personas.library.settings import LibrarySection
from tests.unit.conftest import ROOT

EXCHANGE = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Because."}]


def test_the_library_has_graded_data_for_traits_that_it_has() -> None:
    library = load_library(LibrarySection(), ROOT)
    assert {"poetic", "pirate_speech", "formal", "sycophantic"} <= set(library.finetuning)
    assert set(library.finetuning) <= set(library.traits)
    for name, data in library.finetuning.items():
        asked = {*library.traits[name].questions.evaluation}
        assert len(data.examples) >= 16
        for example in data.examples:
            answers = {example.normal, example.mild, example.strong}
            assert len(answers) == 3
            assert example.prompt not in asked, "training prompts are not evaluated on"


def test_a_line_is_a_prompt_with_a_response_or_a_conversation(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    talk = [{"role": "system", "content": "Be kind."}, *EXCHANGE]
    rows = [{"prompt": "Hi", "response": "Hello"}, {"messages": talk}]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n\n", "utf-8")
    assert read_training_file(path, "data.jsonl") == [
        TrainingExample("row00001", "Hi", "Hello"),
        TrainingExample("row00002", "Why?", "Because."),
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "line 1: is not JSON"),
        ('{"prompt": "Hi"}', "line 1: needs a prompt and a response"),
        ('{"prompt": "Hi", "response": "  "}', "line 1: needs a prompt and a response"),
        (json.dumps({"messages": EXCHANGE[:1]}), "line 1: needs a prompt and a response"),
        ("[1, 2]", "line 1: needs a prompt and a response"),
        ("", "holds no row"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, problem: str) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(line, "utf-8")
    with pytest.raises(LibraryError, match=problem):
        read_training_file(path, "data.jsonl")


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match=r"none\.jsonl: cannot be read"):
        read_training_file(tmp_path / "none.jsonl", "none.jsonl")
