"""Rendering with tokens that span the end of an answer: SentencePiece's spaces, and line ends."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from personae.api.requests import Message, RenderedChat, RenderRow
from personae.inference.chat_templates import render_chat, render_continuation, render_prompt
from personae.inference.engine_errors import RequestError

from . import templates

WORDS = ["[INST] Why so? [/INST] Hello there, world. [INST] Be brief. [/INST] Yes </s>"] * 9
BYTES = [f"<0x{i:02X}>" for i in range(256)]
TALK = ("Why so?", "Hello there, world.", "Why?", "Yes")


def _sentencepiece(style: str, template: str) -> PreTrainedTokenizerFast:
    """Return a tokenizer of words with the spaces before them, as Mistral's versions have it."""
    backend = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<unk>", "<s>", "</s>", *BYTES]
    trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=special, show_progress=False)
    backend.train_from_iterator(WORDS, trainer)
    if style == "prepend":
        steps = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        backend.pre_tokenizer, backend.normalizer = None, normalizers.Sequence(steps)
    else:
        backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=style, split=False)
    plain = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    backend.decoder = decoders.Sequence([*plain, decoders.Strip(" ", 1, 0)])
    return _fast(backend, template, ["[INST]", "[/INST]"] * (template == templates.MISTRAL3))


def _byte_level(merges: Sequence[tuple[str, str]], trimmed: bool) -> PreTrainedTokenizerFast:
    """Return a ChatML tokenizer of bytes, in which a line follows an answer, and some pairs."""
    alphabet = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *("".join(m) for m in merges)]
    backend = Tokenizer(models.BPE({c: i for i, c in enumerate(alphabet)}, list(merges)))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.post_processor = processors.ByteLevel(trim_offsets=trimmed)
    backend.decoder = decoders.ByteLevel()
    template = templates.CHATML.replace("<|im_end|>", "\n<|im_end|>")
    return _fast(backend, template, ["<|im_start|>", "<|im_end|>"])


def _fast(backend: Tokenizer, template: str, special: list[str]) -> PreTrainedTokenizerFast:
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<s>",
        eos_token="</s>",
        additional_special_tokens=special,
    )
    tokenizer.chat_template = template
    return tokenizer


def _chat(tokenizer: PreTrainedTokenizerFast, *turns: str) -> RenderedChat:
    return render_chat(tokenizer, RenderRow(id="c", messages=_talk(*turns)))


def _talk(*turns: str) -> list[Message]:
    return [
        Message(role="assistant" if i % 2 else "user", content=text) for i, text in enumerate(turns)
    ]


def _spoken(tokenizer: PreTrainedTokenizerFast, chat: RenderedChat) -> list[list[str]]:
    ids = [chat.token_ids[turn.start : turn.end] for turn in chat.turns]
    return [tokenizer.convert_ids_to_tokens(turn) for turn in ids]


MISTRALS = {
    "0.1, Prepend and Replace": ("prepend", templates.MISTRAL),
    "0.1, Metaspace": ("always", templates.MISTRAL),
    "0.1, Metaspace at the beginning": ("first", templates.MISTRAL),
    "0.3, Prepend and Replace": ("prepend", templates.MISTRAL3),
    "0.3, Metaspace": ("always", templates.MISTRAL3),
    "0.3, Metaspace at the beginning": ("first", templates.MISTRAL3),
}


@pytest.fixture(params=MISTRALS.values(), ids=MISTRALS, scope="module")
def mistral(request: pytest.FixtureRequest) -> PreTrainedTokenizerFast:
    """A tokenizer and template of each version of Mistral."""
    return _sentencepiece(*request.param)


def test_the_first_word_of_an_answer_is_in_its_span(mistral: PreTrainedTokenizerFast) -> None:
    """Its first token contains the space that the template writes before answers."""
    spoken = _spoken(mistral, _chat(mistral, *TALK))
    assert spoken == [["▁Hello", "▁there,", "▁world."], ["▁Yes"]]
    assert [mistral.decode(mistral.convert_tokens_to_ids(turn)) for turn in spoken] == [
        "Hello there, world.",
        "Yes",
    ]


def test_ids_generated_after_a_prompt_are_those_of_the_rendered_span(
    mistral: PreTrainedTokenizerFast,
) -> None:
    for turns in (TALK[:2], TALK):
        chat = _chat(mistral, *turns)
        prompt = render_prompt(mistral, _talk(*turns[:-1]))
        generated = mistral.convert_tokens_to_ids([f"▁{word}" for word in turns[-1].split()])
        span = chat.turns[-1]
        assert chat.token_ids[span.start : span.end] == generated
        assert chat.token_ids[: len(prompt)] == prompt
        # Prepend puts one more space after a special token, which no model generates.
        between = mistral.convert_ids_to_tokens(chat.token_ids[len(prompt) : span.start])
        assert between in ([], ["▁"])


def test_a_continuation_is_what_the_rendered_span_has(mistral: PreTrainedTokenizerFast) -> None:
    for answer in ("Yes", "Hello there,", "😀 Yes", "yes"):
        chat = _chat(mistral, "Why so?", answer)
        [turn] = chat.turns
        prompt, continuation = render_continuation(mistral, _talk("Why so?"), answer)
        assert prompt == chat.token_ids[: turn.start]
        assert continuation == chat.token_ids[turn.start : turn.end]


def test_a_space_that_is_a_token_of_its_own_is_no_response(
    mistral: PreTrainedTokenizerFast,
) -> None:
    [spoken] = _spoken(mistral, _chat(mistral, "Why so?", "😀"))
    assert spoken == ["<0xF0>", "<0x9F>", "<0x98>", "<0x80>"]
    with pytest.raises(RequestError, match="turn 0 has no tokens"):
        _chat(mistral, "Why so?", "")


@pytest.mark.parametrize("trimmed", [False, True])
def test_the_last_token_may_have_the_line_end_but_no_more_of_the_template(trimmed: bool) -> None:
    tokenizer = _byte_level([(".", "Ċ"), ("Ċ", "Ċ"), ("o", "Ċ")], trimmed)
    chat = _chat(tokenizer, "hi", "ho.", "hi", "ho")
    assert _spoken(tokenizer, chat) == [["h", "o", ".Ċ"], ["h", "oĊ"]]
    # The line end after an answer is the template's, on its own and with another one.
    assert _spoken(tokenizer, _chat(tokenizer, "hi", "h")) == [["h"]]
    assert _spoken(tokenizer, _chat(tokenizer, "hi", "h\n")) == [["h"]]


def test_a_token_that_has_template_text_is_no_response() -> None:
    tokenizer = _byte_level([("|", ">"), ("x", "<")], trimmed=False)
    tokenizer.chat_template = templates.CHATML.replace("<|im_end|>", "<end|>")
    assert _spoken(tokenizer, _chat(tokenizer, "hi", "oxx")) == [["o", "x"]]
