"""Rendering: spans decode to their own text, one BOS, system role, thinking off, fixed date."""

from __future__ import annotations

import pytest
from transformers import PreTrainedTokenizerFast

from personae.engine.chat import (
    render_chat,
    render_continuation,
    render_prompt,
    system_inserted,
)
from personae.engine.errors import RequestError
from personae.requests import Message, RenderRow
from personae.simulation import MARGIN

from . import templates
from .families import make_tokenizer

ALL = {
    name: getattr(templates, name)
    for name in ("CHATML", "CHATML_DEFAULT", "LLAMA3", "GEMMA2", "QWEN3", "MISTRAL")
}


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


def test_the_rendered_chat_is_the_prompt_and_the_answer(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    """What is generated after a prompt stands where the rendered conversation has it."""
    chat = render_chat(tokenizer, RenderRow(id="c", messages=_talk("hi", "hello")))
    prompt = render_prompt(tokenizer, _talk("hi"))
    # Mistral's template writes a space before answers, which belongs to no prompt.
    assert chat.token_ids[: len(prompt)] == prompt
    assert chat.turns[0].start - len(prompt) == (tokenizer.chat_template == templates.MISTRAL)


def test_a_chat_that_a_user_ends_is_about_as_long_as_its_prompt(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    talk = _talk("hi", "hello", "and you?")
    chat = render_chat(tokenizer, RenderRow(id="c", messages=talk))
    # What the template adds to open the answer must fit into the margin of simulated talks.
    assert 0 <= len(render_prompt(tokenizer, talk)) - len(chat.token_ids) <= MARGIN


def test_a_system_text_without_a_role_goes_before_the_first_user_turn() -> None:
    for template in (templates.GEMMA2, templates.MISTRAL):
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
        ("MISTRAL", ""),
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


def test_thinking_is_off_and_an_empty_think_block_is_no_response() -> None:
    tokenizer = make_tokenizer(templates.QWEN3)
    prompt = tokenizer.decode(render_prompt(tokenizer, _talk("hi")))
    assert prompt.endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    chat = render_chat(tokenizer, RenderRow(id="c", messages=_talk("hi", "ho")))
    assert "<think>" in tokenizer.decode(chat.token_ids)
    [turn] = chat.turns
    assert tokenizer.decode(chat.token_ids[turn.start : turn.end]) == "ho"


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
    assert prompt == render_prompt(tokenizer, _talk("hi"))
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
