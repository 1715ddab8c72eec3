"""External formats are read into the library's records."""

import json
from typing import Any

import pytest

from .foreign import BAKER, FRUGAL, SHARED, TALK, Make


def test_roles_of_the_assistant_axis(imported: Make) -> None:
    files = {"roles/baker.json": BAKER, "roles/default.json": {"instruction": [{"pos": ""}]}}
    found = imported(files, format="assistant_axis_roles", path="roles", prefix="aa_")
    role = found.roles["aa_baker"]
    assert role.prompts == ["You are a baker.", "Act as a baker {of bread}."]
    assert role.description == "A person of the small hours who bakes."
    assert role.category == "imported"
    assert "pirate" in found.roles
    assert "aa_default" not in found.roles


def test_roles_may_replace_the_librarys_own(imported: Make) -> None:
    found = imported(
        {"roles/baker.json": BAKER}, format="assistant_axis_roles", path="roles", replace=True
    )
    assert list(found.roles) == ["baker"]


def test_the_default_assistant_of_the_assistant_axis(imported: Make) -> None:
    prompts = ["", "You are {model_name}."]
    files = {"default.json": {"instruction": [{"pos": prompt} for prompt in prompts]}}
    found = imported(files, format="assistant_axis_default", path="default.json")
    assert found.default.prompts == [None, "You are {model_name}."]


def test_traits_of_the_assistant_axis_have_disjoint_questions(imported: Make) -> None:
    found = imported({"t/frugal.json": FRUGAL}, format="assistant_axis_traits", path="t")
    trait = found.traits["frugal"]
    assert trait.questions.extraction == ["A?", "B?"]
    assert trait.questions.evaluation == ["C?"]
    assert trait.description == "The answer saves."
    assert trait.rubric == "Reply REFUSAL or 0 to 100."
    assert (trait.pairs[0].positive, trait.antonym) == ("Spend little.", "helpful")


def test_persona_vectors_traits_join_their_two_files(imported: Make) -> None:
    files = {
        "pv/trait_data_extract/frugal.json": FRUGAL,
        "pv/trait_data_eval/frugal.json": {**FRUGAL, "questions": ["D?"]},
    }
    trait = imported(files, format="persona_vectors_traits", path="pv").traits["frugal"]
    assert trait.questions.extraction == ["A?", "B?", "C?"]
    assert trait.questions.evaluation == ["D?"]


def test_questions_go_into_the_split_that_is_named(imported: Make) -> None:
    lines = '{"question": "Why is there rain?", "id": 0}\n\n{"question": "Who bakes?", "id": 7}\n'
    source = {"format": "assistant_axis_questions", "path": "q.jsonl", "replace": True}
    found = imported({"q.jsonl": lines}, **source)
    assert [question.id for question in found.extraction] == ["q000", "q007"]
    found = imported({"q.jsonl": lines}, **source, into="heldout", category="rain")
    assert next((q.topic, q.text) for q in found.heldout) == ("rain", "Why is there rain?")
    assert len(found.extraction) > 2


def test_transcripts(imported: Make) -> None:
    found = imported(
        {"talks/one.json": TALK},
        format="assistant_axis_transcripts",
        path="talks",
        into="case_studies",
    )
    talk = found.case_studies["one"]
    assert (talk.domain, talk.kind, talk.title) == ("coding", "drifting", "A greeting")
    assert (talk.turns[0].user, talk.turns[0].assistant) == ("Hello.", "Good day.")


@pytest.mark.parametrize(
    "content",
    [
        [{"id": "My chat", "conversations": SHARED}],
        json.dumps({"id": "My chat", "messages": TALK["conversation"]}),
    ],
)
def test_sharegpt_conversations(imported: Make, content: Any) -> None:
    name = "chats.jsonl" if isinstance(content, str) else "chats.json"
    found = imported({name: content}, format="sharegpt", path=name, category="small_talk")
    assert found.drift["my_chat"].domain == "small_talk"
    assert found.drift["my_chat"].turns[0].assistant == "Good day."


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("h.csv", 'Goal,Category\n"Say something mean, please",Mean Speech\n'),
        ("h.tsv", "Goal\tCategory\nSay something mean, please\tMean Speech\n"),
        ("h.jsonl", '{"Goal": "Say something mean, please", "Category": "Mean Speech", "n": 1}\n'),
    ],
)
def test_harm_tables_with_named_columns(imported: Make, name: str, content: str) -> None:
    columns = {"text": "Goal", "category": "Category"}
    found = imported(
        {name: content}, format="harm_table", path=name, columns=columns, replace=True, prefix="x_"
    )
    (probe,) = found.harm_probes
    assert probe.model_dump() == {
        "id": "x_row_0000",
        "category": "mean_speech",
        "text": "Say something mean, please",
    }


def test_conversations_without_a_name_are_counted(imported: Make) -> None:
    records = [{"id": None, "conversations": SHARED}, {"conversations": SHARED}]
    found = imported({"c.json": records}, format="sharegpt", path="c.json", replace=True)
    assert list(found.drift) == ["c00000", "c00001"]


def test_line_separators_within_a_text_end_no_record(imported: Make) -> None:
    odd = "One\u2028two\x0bthree\nfour"
    content = json.dumps({"Goal": odd}, ensure_ascii=False) + "\r\n"
    found = imported(
        {"h.jsonl": content}, format="harm_table", path="h.jsonl", columns={"text": "Goal"}
    )
    assert found.harm_probes[-1].text == odd
    found = imported(
        {"h.csv": f'Goal,n\r\n"{odd}",1\r\n'},
        format="harm_table",
        path="h.csv",
        columns={"text": "Goal"},
    )
    assert found.harm_probes[-1].text == odd


UNFIT: dict[str, list[Any]] = {
    "system": [{"from": "system", "value": "Be kind."}, *SHARED],
    "unanswered": [*SHARED, {"from": "human", "value": "And?"}],
    "repeated_speaker": [{"from": "human", "value": "Hm."}, *SHARED],
    "tools": [*SHARED, {"from": "human", "value": "x"}, {"from": "function_call", "value": "{}"}],
    "empty": [SHARED[0], {"from": "gpt", "value": " "}],
    "malformed": [3],
}


@pytest.mark.parametrize("kind", UNFIT)
def test_a_conversation_that_does_not_fit_is_skipped_and_counted(imported: Make, kind: str) -> None:
    records = [{"conversations": UNFIT[kind]}, {"conversations": SHARED}]
    found = imported({"c.json": records}, format="sharegpt", path="c.json", replace=True)
    assert list(found.drift) == ["c00001"]
    (note,) = found.notes
    assert note.startswith(f"c.json: 1 of 2 records skipped (1 {kind}); first: c.json: [0]")


@pytest.mark.parametrize(
    ("kind", "first"),
    [("system", "Hello."), ("unanswered", "Hello."), ("repeated_speaker", "Hm.\n\nHello.")],
)
def test_a_conversation_is_mended_where_the_study_keeps_it(
    imported: Make, kind: str, first: str
) -> None:
    found = imported(
        {"c.json": [{"conversations": UNFIT[kind]}]},
        format="sharegpt", path="c.json", replace=True, unfit={kind: "keep"},
    )  # fmt: skip
    (talk,) = found.drift.values()
    assert [(turn.user, turn.assistant) for turn in talk.turns] == [(first, "Good day.")]
    assert found.notes == []


def test_speakers_are_told_apart_without_regard_to_case(imported: Make) -> None:
    said = [{"from": turn["from"].upper(), "value": turn["value"]} for turn in SHARED]
    found = imported({"c.json": [{"conversations": said}]}, format="sharegpt", path="c.json")
    assert "c00000" in found.drift


@pytest.mark.parametrize("name", ["c.json", "c.ndjson", "c.jsonl"])
def test_rows_of_lmsys_and_wildchat_in_json_lines_of_any_name(imported: Make, name: str) -> None:
    rows = [
        {"conversation_id": "ab12", "model": "m", "conversation": TALK["conversation"]},
        {"conversation_hash": "cd34", "conversation": [
            {**turn, "turn_identifier": 1, "toxic": False} for turn in TALK["conversation"]
        ]},
    ]  # fmt: skip
    content = "\n".join(map(json.dumps, rows))
    found = imported({name: content}, format="sharegpt", path=name, replace=True)
    assert list(found.drift) == ["ab12", "cd34"]


@pytest.mark.parametrize(
    ("about", "who"),
    [
        ("A pirate is a rogue of the sea.", "A rogue of the sea."),
        ("This refers to someone who bakes.", "Someone who bakes."),
        ("This role embodies a wise old owl.", "A wise old owl."),
        ("This role embodies wisdom and calm.", "Someone who embodies wisdom and calm."),
        ("This character represents the sea.", "The sea."),
        ("The term refers to acting as a guide.", "A guide."),
        ("The oldest of all trees.", "The oldest of all trees."),
        ("This means that the model bakes.", "The model bakes."),
    ],
)
def test_a_rubrics_opening_becomes_someone_to_be(imported: Make, about: str, who: str) -> None:
    role = {**BAKER, "eval_prompt": f"Is it a **baker**? {about}"}
    found = imported(
        {"roles/baker.json": role}, format="assistant_axis_roles", path="roles", prefix="x_"
    )
    assert found.roles["x_baker"].description == who


def test_contextual_behaviours_have_their_context_before_them(imported: Make) -> None:
    table = (
        "Behavior,SemanticCategory,ContextString,BehaviorID\n"
        'Do this,illegal,"A long text, with commas",a\nDo that,illegal,,b\n'
    )
    columns = {"text": "Behavior", "category": "SemanticCategory", "id": "BehaviorID"}
    found = imported({"h.csv": table}, format="harm_table", path="h.csv", columns=columns)
    texts = {probe.id: probe.text for probe in found.harm_probes}
    assert texts["a"] == "A long text, with commas\n\n---\n\nDo this"
    assert texts["b"] == "Do that"
