"""Rendering: spans decode to their own text, one BOS, system role, thinking off, fixed date."""

from __future__ import annotations

import pytest
from transformers import PreTrainedTokenizerFast

from personae.api.requests import Message, RenderRow
from personae.inference.chat_templates import (
    render_chat,
    render_continuation,
    render_prompt,
    system_inserted,
)
from personae.inference.engine_errors import RequestError
from personae.rollouts.simulation import MARGIN

from . import templates
from .families import make_tokenizer

# Prompts of R1 are not those of its rendered conversations, which hold no think block: see below.
ALL = {
    name: text
    for name, text in vars(templates).items()
    if name[0].isupper() and not name.startswith("R1")
}
# Their space before answers is a separate token in a tokenizer of bytes.
SPACED = (templates.MISTRAL, templates.MISTRAL3)


@pytest.fixture(params=ALL, scope="module")
def tokenizer(request: pytest.FixtureRequest) -> PreTrainedTokenizerFast:
    """A tokenizer with each template."""
    return make_tokenizer(ALL[request.param])


def _talk(*turns: str, system: str = "") -> list[Message]:
    """Return a conversation whose turns alternate, the user first."""
    spoken = [
        Message(role="assistant" if i % 2 else "user", content=text) for i, text in enumerate(turns)
    ]
    return [Message(role="system", content=system), *spoken] if system else spoken


# Contents that also stand in headers, repeat each other, hold other scripts or nothing but marks.
# Braces and quotes mean something to templates, but not within what is said.
BRACES = '{{ messages }} {% raw %} {# #} {0} {name} %s "it\'s" \\n'
TRICKY = _talk("user", "assistant", "assistant", "user", "?", "Zoë 😀 says:\n\n1. a", "ok", "model")
TRICKY = [*TRICKY, *_talk(BRACES, BRACES)]


@pytest.mark.parametrize("system", ["", "You are a user."])
def test_every_assistant_span_decodes_to_its_own_text(
    tokenizer: PreTrainedTokenizerFast, system: str
) -> None:
    messages = [*(_talk(system=system)), *TRICKY]
    chat = render_chat(tokenizer, RenderRow(id="c", messages=messages))
    texts = [tokenizer.decode(chat.token_ids[s.start : s.end]) for s in chat.turns]
    assert texts == [m.content for m in messages if m.role == "assistant"]
    assert [s.name for s in chat.turns] == [f"turn{i}" for i in range(5)]


def test_pieces_are_the_rendered_text_token_by_token(tokenizer: PreTrainedTokenizerFast) -> None:
    chat = render_chat(tokenizer, RenderRow(id="c", messages=TRICKY, pieces=True))
    assert len(chat.pieces) == len(chat.token_ids)
    # White space around a turn may belong to no token of it.
    texts = ["".join(chat.pieces[s.start : s.end]).strip() for s in chat.turns]
    assert texts == [m.content for m in TRICKY if m.role == "assistant"]
    assert render_chat(tokenizer, RenderRow(id="c", messages=TRICKY)).pieces == []


def test_braces_and_quotes_in_a_prompt_stay_as_they_are(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    ids = render_prompt(tokenizer, _talk(f"Why {BRACES}?", system=f"You say {BRACES}."))
    text = tokenizer.decode(ids)
    assert f"You say {BRACES}." in text
    assert f"Why {BRACES}?" in text


def test_there_is_at_most_one_bos_and_it_is_first(tokenizer: PreTrainedTokenizerFast) -> None:
    ids = render_prompt(tokenizer, TRICKY[:5])
    expected = [0] if "bos_token" in str(tokenizer.chat_template) else []
    assert [i for i, token in enumerate(ids) if token == tokenizer.bos_token_id] == expected


def test_one_token_begins_olmo_2_and_ends_its_answers() -> None:
    tokenizer = make_tokenizer(templates.OLMO2)
    ids = render_chat(tokenizer, RenderRow(id="c", messages=TRICKY[:4])).token_ids
    [end] = tokenizer("<|endoftext|>")["input_ids"]
    where = [i for i, token in enumerate(ids) if token == end]
    assert (len(where), where[0], where[-1]) == (3, 0, len(ids) - 1)


@pytest.mark.parametrize("system", ["", "Be brief."])
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_the_rendered_chat_is_the_prompt_and_the_answer_in_every_turn(
    tokenizer: PreTrainedTokenizerFast, turns: int, system: str
) -> None:
    """A response after a prompt has the position that it has in the rendered conversation."""
    said = ("hi", "hello", "why", "so", "and you", "too")[: 2 * turns]
    chat = render_chat(tokenizer, RenderRow(id="c", messages=_talk(*said, system=system)))
    prompt = render_prompt(tokenizer, _talk(*said[:-1], system=system))
    # Mistral's template writes a space before answers, which belongs to no prompt.
    assert chat.token_ids[: len(prompt)] == prompt
    assert chat.turns[-1].start - len(prompt) == (tokenizer.chat_template in SPACED)


def test_a_chat_that_a_user_ends_is_about_as_long_as_its_prompt(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    talk = _talk("hi", "hello", "and you?")
    chat = render_chat(tokenizer, RenderRow(id="c", messages=talk))
    # What the template adds to open the answer must fit into the margin of simulated talks.
    assert 0 <= len(render_prompt(tokenizer, talk)) - len(chat.token_ids) <= MARGIN


def test_a_system_text_without_a_role_goes_before_the_first_user_turn() -> None:
    for template in (templates.GEMMA2, templates.GEMMA3, *SPACED):
        tokenizer = make_tokenizer(template)
        with_system = render_prompt(tokenizer, _talk("hi", "yes", "why", system="Be brief."))
        merged = render_prompt(tokenizer, _talk("Be brief.\n\nhi", "yes", "why"))
        assert with_system == merged


def test_a_system_role_is_used_where_there_is_one() -> None:
    text = make_tokenizer(templates.CHATML).decode(
        render_prompt(make_tokenizer(templates.CHATML), _talk("hi", system="Be brief."))
    )
    expected = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n"
    assert text == expected + "<|im_start|>assistant\n"


@pytest.mark.parametrize(
    ("template", "inserted"),
    [
        ("CHATML_DEFAULT", "You are tiny"),
        ("LLAMA3", "Today Date: 26 Jul 2024"),
        ("CHATML", ""),
        ("GEMMA2", ""),
        ("QWEN3", ""),
        ("QWEN3_THINKING", ""),
        ("MISTRAL", ""),
        ("MISTRAL3", ""),
        ("GEMMA3", ""),
        ("PHI3", ""),
        ("PHI4", ""),
        ("OLMO2", ""),
        ("SMOLLM3", "Be smol."),
        ("GPT_OSS", "You are oss.\nCurrent date: 2024-07-26\n\n# Channels: analysis, final."),
    ],
)
def test_a_system_message_that_the_template_inserts_is_reported(
    template: str, inserted: str
) -> None:
    tokenizer = make_tokenizer(ALL[template])
    assert system_inserted(tokenizer, _talk("hi")) == inserted
    assert system_inserted(tokenizer, _talk("hi", system="Be brief.")) == ""
    chat = render_chat(tokenizer, RenderRow(id="c", messages=_talk("hi", "ho")))
    assert chat.system_inserted == inserted


EMPTY = "<|im_start|>assistant\n<think>\n\n</think>\n"
NOT_THINKING = {
    "Qwen 3": (templates.QWEN3, f"{EMPTY}\n"),
    "Qwen 3 that always thinks": (templates.QWEN3_THINKING, f"{EMPTY}\n"),
    "SmolLM3": (templates.SMOLLM3, EMPTY),
    "gpt-oss": (templates.GPT_OSS, "<|start|>assistant<|channel|>final<|message|>"),
}


@pytest.mark.parametrize(("template", "opened"), NOT_THINKING.values(), ids=NOT_THINKING)
def test_thinking_is_off_and_what_says_so_is_no_response(template: str, opened: str) -> None:
    tokenizer = make_tokenizer(template)
    prompt = tokenizer.decode(render_prompt(tokenizer, _talk("hi", "ho", "why")))
    assert prompt.endswith(opened)
    chat = render_chat(tokenizer, RenderRow(id="c", messages=_talk("hi", "ho", "why", "so")))
    assert tokenizer.decode(chat.token_ids).startswith(f"{prompt}so")
    texts = [tokenizer.decode(chat.token_ids[s.start : s.end]) for s in chat.turns]
    assert texts == ["ho", "so"]


@pytest.mark.parametrize("template", [templates.R1_DISTILLED, templates.R1])
def test_a_model_that_always_thinks_is_given_an_empty_think_block(template: str) -> None:
    tokenizer = make_tokenizer(template)
    ids, answer = render_continuation(tokenizer, _talk("hi"), "ho")
    assert ids == render_prompt(tokenizer, _talk("hi"))
    assert tokenizer.decode(ids).endswith(f"{EMPTY}\n")
    assert tokenizer.decode(ids).count("<think>") == 1
    assert tokenizer.decode(answer) == "ho"
    chat = render_chat(tokenizer, RenderRow(id="c", messages=_talk("hi", "ho")))
    (span,) = chat.turns
    assert tokenizer.decode(chat.token_ids[span.start : span.end]) == "ho"


def test_a_prompt_is_opened_as_the_template_does_where_answers_follow_that() -> None:
    for template in set(ALL.values()) - {templates.QWEN3_THINKING, templates.GPT_OSS}:
        tokenizer = make_tokenizer(template)
        opened = tokenizer.apply_chat_template(
            [{"role": "user", "content": "zzz"}],
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=False,
        )
        prompt = tokenizer.decode(render_prompt(tokenizer, _talk("zzz")))
        assert prompt.partition("zzz")[2] == str(opened).partition("zzz")[2]


def test_system_text_that_a_template_would_cut_goes_before_the_first_user_turn() -> None:
    """SmolLM3 takes a flag out of it, and would think."""
    tokenizer = make_tokenizer(templates.SMOLLM3)
    prompt = tokenizer.decode(render_prompt(tokenizer, _talk("hi", system="Say hear/think.")))
    assert "Reasoning Mode: /no_think\n" in prompt
    assert "<|im_start|>user\nSay hear/think.\n\nhi<|im_end|>" in prompt


def test_contents_that_a_template_trims_are_found() -> None:
    chat = render_chat(
        make_tokenizer(templates.LLAMA3), RenderRow(id="c", messages=_talk("hi ", " ho\n"))
    )
    [turn] = chat.turns
    assert turn.end - turn.start == len("ho")


def test_dates_do_not_depend_on_today() -> None:
    tokenizer = make_tokenizer("{{ strftime_now(\"%Y-%m-%d\") }}|{{ messages[0]['content'] }}")
    assert tokenizer.decode(render_prompt(tokenizer, _talk("hi"))) == "2024-07-26|hi"


def test_a_continuation_follows_the_prompt(tokenizer: PreTrainedTokenizerFast) -> None:
    prompt, continuation = render_continuation(tokenizer, _talk("hi"), "Yes, 1.")
    space = tokenizer(" ")["input_ids"] if tokenizer.chat_template in SPACED else []
    assert prompt == render_prompt(tokenizer, _talk("hi")) + space
    assert tokenizer.decode(continuation) == "Yes, 1."


@pytest.mark.parametrize(
    ("messages", "match"),
    [
        ([*_talk("a"), *_talk("b")], "roles must alternate"),
        (_talk(system="alone"), "no system role and no user turn"),
    ],
)
def test_what_a_template_refuses_is_refused_in_its_words(
    messages: list[Message], match: str
) -> None:
    with pytest.raises(RequestError, match=match):
        render_prompt(make_tokenizer(templates.GEMMA2), messages)


def test_a_rewritten_or_empty_turn_is_refused() -> None:
    upper = templates.CHATML.replace("m['content']", "m['content'] | upper")
    with pytest.raises(RequestError, match="rewrites the user's 'hi'"):
        render_chat(make_tokenizer(upper), RenderRow(id="c", messages=_talk("hi", "ho")))
    with pytest.raises(RequestError, match="conversation 'c': assistant turn 0 has no tokens"):
        render_chat(make_tokenizer(templates.CHATML), RenderRow(id="c", messages=_talk("hi", "")))
