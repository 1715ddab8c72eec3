"""Chat templates: messages to token ids, and the token spans of assistant turns.

The template is rendered once and tokenised with ``add_special_tokens=False``, so there is one BOS
token. Thinking is off. If a template rejects (or silently drops, or moves) the system role, the
system text is prepended to the first user turn, separated by a blank line. No system message is
invented here, and one that a template inserts is reported. A prompt ends where the rendered
conversation has the answer's first token.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate, takewhile
from typing import NamedTuple

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from personae.api.requests import Message, RenderedChat, RenderRow, Span
from personae.inference.engine_errors import RequestError
from personae.inference.think_blocks import without_thinking

# ASSUME: templates that print today's date (Llama 3.2, SmolLM3, gpt-oss) get this one, so that a
# prompt is the same whenever it is rendered; it is the default of Llama 3.1's template.
_DATE = datetime.date(2024, 7, 26)
_TODAY = re.compile(r"""strftime_now\(\s*(["'])(.*?)\1\s*\)""")
# Private-use characters: no template tests for them and no text contains them by accident.
_MARK = "\ue000{}\ue001"
_SYSTEM, _USER, _ANSWER, _MORE = (
    Message.model_validate({"role": role, "content": _MARK.format(number)})
    for number, role in enumerate(("system", "user", "assistant", "user"))
)


class _PromptText(NamedTuple):
    """A prompt's text, and the white space that the template writes between it and the answer."""

    text: str
    gap: str


def render_prompt(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> list[int]:
    """Return the ids of ``messages`` followed by the generation prompt."""
    return _tokenize(tokenizer, _opening(tokenizer, messages).text)


def raw_prompt(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Return the ids of a text without a chat template, after the tokenizer's own first token."""
    ids: list[int] = tokenizer(text)["input_ids"]
    return ids


def render_continuation(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], continuation: str
) -> tuple[list[int], list[int]]:
    """Return the ids of the prompt and of a continuation text, as in the rendered conversation.

    Tokenising both at once keeps word-initial spaces correct (SentencePiece). White space that the
    template writes between them belongs to the prompt if it is a separate token. If a token would
    span the boundary, the continuation is tokenised alone, as in generation.
    """
    opening = _opening(tokenizer, messages)
    prompt = _tokenize(tokenizer, opening.text)
    before = opening.text + opening.gap
    text = before + continuation
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids = list(encoded["input_ids"])
    if ids[: len(prompt)] != prompt:
        return prompt, _tokenize(tokenizer, continuation)
    said = _said(text, encoded["offset_mapping"], len(before), len(text))
    first = max(said[0], len(prompt)) if said else len(ids)
    return ids[:first], ids[first:]


def render_chat(tokenizer: PreTrainedTokenizerBase, row: RenderRow) -> RenderedChat:
    """Render a conversation and locate the content of every assistant turn.

    Raises
    ------
    RequestError
        If the template rejects the conversation or rewrites a turn, or a turn is empty.
    """
    messages = _accepted(tokenizer, row.messages)
    text = _template(tokenizer, messages)
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    turns = []
    for index, (start, end) in enumerate(_assistant_texts(tokenizer, messages, text)):
        said = _said(text, encoded["offset_mapping"], start, end)
        if not said:
            raise RequestError(f"conversation {row.id!r}: assistant turn {index} has no tokens")
        turns.append(Span(name=f"turn{index}", start=said[0], end=said[-1] + 1))
    return RenderedChat(
        id=row.id,
        token_ids=encoded["input_ids"],
        turns=turns,
        system_inserted=system_inserted(tokenizer, row.messages),
        pieces=_pieces(text, encoded["offset_mapping"]) if row.pieces else [],
    )


def _pieces(text: str, offsets: Sequence[tuple[int, int]]) -> list[str]:
    """Return the text of every token, with what lies before it and belongs to none.

    Tokens that share a character: the first of them has it.
    """
    ends = list(accumulate((end for _, end in offsets), max))
    ends[-1] = len(text)
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def system_inserted(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> str:
    """Return the system text that the template adds if ``messages`` have none, else "".

    A rendering with a marked system message shows the text around the system text in this template;
    if the rendering without one has the same text around it, the text between was inserted.
    """
    if not messages or messages[0].role == "system":
        return ""
    try:
        marked = _template(tokenizer, [_SYSTEM, *messages])
    except RequestError:
        return ""
    before, found, after = marked.partition(_SYSTEM.content)
    plain = _template(tokenizer, messages)
    if found and not plain.startswith(before):
        # gpt-oss starts with its own system turn and puts system text into another turn after it.
        texts = zip(*(_between_specials(tokenizer, t) for t in (before, plain)), strict=False)
        shared = [own for own, _ in takewhile(lambda pair: pair[0] == pair[1], texts) if own]
        return shared[-1] if shared else ""
    if not (found and plain.endswith(after)):
        return ""
    inserted = plain[len(before) : len(plain) - len(after)]
    # Llama 3 starts a system turn with dates even if it has no text: they precede the mark.
    return inserted or _between_specials(tokenizer, before)[-1]


def _between_specials(tokenizer: PreTrainedTokenizerBase, text: str) -> list[str]:
    """Return the text before, between and after the special tokens of a text."""
    special = [t.content for t in tokenizer.added_tokens_decoder.values() if t.special]
    return [part.strip() for part in re.split("|".join(map(re.escape, special)) or "(?!)", text)]


def _opening(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> _PromptText:
    """Render messages to respond to.

    # ASSUME: text that the template writes between its generation prompt and an answer belongs to
    # the prompt, so that models without a switch for thinking do not think either: gpt-oss answers
    # in the final channel. White space alone does not: Mistral's first token contains it.
    """
    if messages[-1].role == "assistant":
        raise RequestError("messages to respond to must not end with the assistant's own turn")
    accepted = _accepted(tokenizer, messages)
    prompt = _template(tokenizer, accepted, add_generation_prompt=True)
    try:
        answered = _template(tokenizer, [*accepted, _ANSWER])
    except RequestError:
        answered = ""
    before, found, _ = answered.partition(_ANSWER.content)
    gap = before[len(prompt) :] if found and before.startswith(prompt) else ""
    opening = _PromptText(before, "") if gap.strip() else _PromptText(prompt, gap)
    closed = without_thinking(opening.text, tokenizer.get_chat_template())
    return opening if closed == opening.text else _PromptText(closed, "")


def _tokenize(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def _accepted(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> Sequence[Message]:
    """Return the messages, with system text in the first user turn if the template needs that."""
    if messages[0].role != "system" or _takes_system(tokenizer, messages):
        return messages
    if len(messages) < 2 or messages[1].role != "user":
        raise RequestError("the chat template has no system role and no user turn follows it")
    system, first, *rest = messages
    merged = first.model_copy(update={"content": f"{system.content}\n\n{first.content}"})
    return [merged, *rest]


def _takes_system(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> bool:
    """Return whether the template writes system text unchanged and before the first user turn.

    Mistral 0.3 moves it to the last turn if that is the user's and drops it otherwise, so the
    rendered conversation would not be the one that was answered.
    """
    try:
        probe = _template(tokenizer, [_SYSTEM, _USER, _ANSWER, _MORE])
        kept = messages[0].content.strip() in _template(tokenizer, messages)
    except RequestError:
        return False
    return kept and 0 <= probe.find(_SYSTEM.content) < probe.find(_USER.content)


def _template(
    tokenizer: PreTrainedTokenizerBase,
    messages: Iterable[Message],
    add_generation_prompt: bool = False,
) -> str:
    """Render to text; a rejection becomes a `RequestError` with the template's message."""
    try:
        text = tokenizer.apply_chat_template(
            [message.model_dump() for message in messages],
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            enable_thinking=False,
            chat_template=_dated(tokenizer.get_chat_template()),
        )
    except TemplateError as error:
        raise RequestError(f"the chat template rejects the messages: {error}") from error
    return str(text)


@lru_cache
def _dated(template: str) -> str:
    """Replace calls for today's date in a template by the fixed date."""
    return _TODAY.sub(lambda call: repr(_DATE.strftime(call[2])), template)


def _assistant_texts(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], text: str
) -> list[tuple[int, int]]:
    """Return the character range in ``text`` of every assistant message's content.

    The template is rendered again with marks in place of contents. The text between the marks is
    the template's own, and ``text`` must equal it with the contents in between. A search for the
    contents themselves would find "user" in a header.
    """
    marks = [_MARK.format(index) for index in range(len(messages))]
    skeleton = _template(
        tokenizer,
        [m.model_copy(update={"content": mark}) for m, mark in zip(messages, marks, strict=True)],
    )
    ranges, cursor = [], 0
    for message, mark in zip(messages, marks, strict=True):
        literal, _, skeleton = skeleton.partition(mark)
        following = skeleton.partition(_MARK[0])[0]
        start = cursor + len(literal)
        content = message.content
        # Templates keep contents or trim them in different ways.
        ends = (content.lstrip("\n"), content.rstrip("\n"), content.rstrip())
        kept = (content, content.strip(), *ends)
        end = next((start + len(k) for k in kept if text.startswith(k + following, start)), None)
        if end is None or not text.startswith(literal, cursor):
            raise RequestError(f"the chat template rewrites the {message.role}'s {content[:40]!r}")
        if message.role == "assistant":
            ranges.append((start, end))
        cursor = end
    return ranges


def _said(text: str, offsets: Sequence[tuple[int, int]], start: int, end: int) -> list[int]:
    """Return the indices of the tokens of the content ``text[start:end]``.

    A token across a boundary counts if it contains words of the content and at most white space of
    the template: SentencePiece joins a space to the word that follows (Mistral's template writes
    one before an answer), other tokenizers join a line end to the full stop.
    """

    def holds(a: int, b: int) -> bool:
        inside, outside = text[max(a, start) : min(b, end)], text[a:start] + text[end:b]
        return bool(inside.strip() if outside else inside) and not outside.strip()

    return [i for i, (a, b) in enumerate(offsets) if a < end and start < b and holds(a, b)]
