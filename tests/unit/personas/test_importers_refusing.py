"""Malformed files in external formats are rejected with file, place and reason."""

import json
from pathlib import Path
from typing import Any

import pytest

from personae.base.errors import PersonaeError
from personae.personas.library import Library
from personae.workflow.config import ConfigError, load_config
from tests.unit.conftest import ROOT

from .foreign import BAKER, FRUGAL, SHARED, TALK, Make

SPOILT: list[tuple[str, str, Any, str]] = [
    ("assistant_axis_roles", "roles/a.json", "{", r"roles/a\.json:1: not JSON"),
    ("assistant_axis_roles", "roles/a.txt", "", r"roles: no \.json file in this folder"),
    ("assistant_axis_roles", "roles/a.json", [], r"roles/a\.json: must be a record"),
    (
        "assistant_axis_roles",
        "roles/a.json",
        {"instruction": [{"neg": "x"}]},
        r"roles/a\.json: instruction\[0\]\.pos: missing; add it",
    ),
    (
        "assistant_axis_roles",
        "roles/a.json",
        {"instruction": [{"pos": "You."}, {"pos": "You."}]},
        r"roles/a\.json: prompts\[1\] repeats",
    ),
    (
        "assistant_axis_roles",
        "roles/pirate.json",
        BAKER,
        r"roles: 'pirate' already exists in roles; set prefix",
    ),
    (
        "assistant_axis_traits",
        "roles/a.json",
        {**FRUGAL, "instruction": [{"pos": "x"}]},
        r"roles/a\.json: instruction\[0\]\.neg: missing",
    ),
    (
        "persona_vectors_traits",
        "roles/trait_data_extract/a.json",
        FRUGAL,
        r"roles/trait_data_eval/a\.json: no such file",
    ),
    (
        "assistant_axis_transcripts",
        "roles/a.json",
        {"conversation": TALK["conversation"][::-1]},
        r"roles/a\.json: conversation: must begin with the user",
    ),
    (
        "assistant_axis_transcripts",
        "roles/a.json",
        {"conversation": TALK["conversation"][:1]},
        "ends with the user's turn",
    ),
    (
        "assistant_axis_transcripts",
        "roles/a.json",
        {"talk": []},
        "list 'conversation' is missing",
    ),
    (
        "assistant_axis_transcripts",
        "roles/a.json",
        {"conversation": [{"role": ["user"], "content": "Hello."}]},
        r"roles/a\.json: conversation\[0\]\.role: unknown speaker \['user'\]",
    ),
    (
        "assistant_axis_roles",
        "roles/!!.json",
        BAKER,
        r"!!\.json: '!!' cannot be turned .* rename",
    ),
    ("assistant_axis_roles", "roles/a.json", "[" * 100_000, r"roles/a\.json:1: nested too deeply"),
    (
        "assistant_axis_traits",
        "roles/a.json",
        {**FRUGAL, "questions": ["A?"]},
        r"roles/a\.json: questions: 1; give at least 2, half",
    ),
]


@pytest.mark.parametrize(("form", "name", "content", "words"), SPOILT)
def test_a_malformed_file_is_refused(
    imported: Make, form: str, name: str, content: Any, words: str
) -> None:
    found = imported({name: content}, format=form, path="roles")
    with pytest.raises(PersonaeError, match=words) as caught:
        _ = (found.roles, found.traits, found.drift)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("h.csv", "a,b\nx\n", r"h\.csv:2: not 2 columns"),
        ("h.csv", "a,b\nx,y\n", r"h\.csv:2: no column 'Goal', which columns\.text names; .* a, b"),
        ("h.csv", "", r"h\.csv: empty"),
        ("h.csv", "Goal\n", r"h\.csv: no records of format harm_table"),
        ("h.jsonl", '{"Goal": 3}', r"h\.jsonl:1: text: .*string, not 3"),
        ("h.jsonl", '{"Goal": "x"}\nnonsense', r"h\.jsonl:2: not JSON"),
        ("h.json", '{"Goal": "x"}', r"h\.json: must hold a list"),
        ("h.csv", 'Goal\n"x', r"h\.csv:1: .*quote"),
        ("h.csv", "Goal,Goal\nx,y\n", r"h\.csv:1: column 'Goal' occurs twice"),
    ],
)
def test_a_malformed_table_is_refused(imported: Make, name: str, content: str, words: str) -> None:
    found = imported({name: content}, format="harm_table", path=name, columns={"text": "Goal"})
    with pytest.raises(PersonaeError, match=words):
        _ = found.harm_probes


@pytest.mark.parametrize("value", [None, "", " ! ", [1], 1.5])
def test_a_cell_that_gives_no_name_is_refused(imported: Make, value: Any) -> None:
    found = imported(
        {"h.json": [{"Goal": "x", "Category": value}]},
        format="harm_table",
        path="h.json",
        columns={"text": "Goal", "category": "Category"},
    )
    with pytest.raises(PersonaeError, match=r"\[0\]: Category: .* cannot be turned into a name"):
        _ = found.harm_probes


@pytest.mark.parametrize(
    ("form", "records", "words"),
    [
        ("sharegpt", [{"id": 1.5, "conversations": SHARED}], r"1: id: 1\.5 cannot be turned"),
        (
            "sharegpt",
            [{"id": "!", "conversations": SHARED}],
            r"1: id: '!' cannot be .*; correct it, or remove it",
        ),
        ("sharegpt", 2 * [{"id": "a", "conversations": SHARED}], r"2: 'a' is also in x\.jsonl:1"),
        ("sharegpt", [3], r"1: the list 'conversations' is missing"),
        (
            "assistant_axis_questions",
            [{"question": "A?", "id": "!"}],
            "1: id: .!. cannot be",
        ),
        ("assistant_axis_questions", [{"question": " ", "id": 0}], "1: text: empty text"),
        (
            "assistant_axis_questions",
            [{"question": "A?", "id": 0}, {"question": "B?", "id": 0}],
            r"2: 'q000' is also in x\.jsonl:1; rename",
        ),
    ],
)
def test_a_malformed_line_is_refused(
    imported: Make, form: str, records: list[Any], words: str
) -> None:
    content = "\n".join(map(json.dumps, records))
    found = imported({"x.jsonl": content}, format=form, path="x.jsonl")
    with pytest.raises(PersonaeError, match=rf"x\.jsonl:{words}") as caught:
        _ = (found.drift, found.extraction)
    assert len(str(caught.value).splitlines()) == 1


def test_questions_for_evaluation_are_missed_in_their_own_file(imported: Make) -> None:
    files = {
        "pv/trait_data_extract/frugal.json": FRUGAL,
        "pv/trait_data_eval/frugal.json": {**FRUGAL, "questions": []},
    }
    found = imported(files, format="persona_vectors_traits", path="pv")
    with pytest.raises(PersonaeError, match=r"trait_data_eval/frugal\.json: questions: empty"):
        _ = found.traits


def test_a_name_that_two_sources_give_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config").symlink_to(ROOT / "config")
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "nobody.json").write_text(json.dumps(BAKER), encoding="utf-8")
    imports = [{"format": "assistant_axis_roles", "path": folder} for folder in ("one", "two")]
    study = {"study": "x", "models": ["m"], "library": {"imports": imports}}
    with pytest.raises(PersonaeError, match="two: 'nobody' already exists in roles; set prefix"):
        _ = Library(load_config(study).library, tmp_path).roles


def test_sharegpt_with_a_system_message_is_refused_where_the_study_says_so(imported: Make) -> None:
    said = [{"from": "system", "value": "Be kind."}, *SHARED]
    found = imported(
        {"c.json": [{"conversations": said}]},
        format="sharegpt", path="c.json", unfit={"system": "refuse"},
    )  # fmt: skip
    with pytest.raises(PersonaeError, match=r"c\.json: \[0\]: conversations: a system message"):
        _ = found.drift


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"format": "aa", "path": "x"}, "library.imports.0..format"),
        ({"format": "sharegpt", "path": "x", "into": "roles"}, "adds to drift, case_studies"),
        ({"format": "harm_table", "path": "x"}, "columns: required for harm_table"),
        ({"format": "sharegpt", "path": "x", "prefix": "X-"}, "prefix"),
    ],
)
def test_a_wrong_source_is_one_line(source: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        load_config({"study": "x", "models": ["m"], "library": {"imports": [source]}})
    assert len(caught.value.problems) == 1
