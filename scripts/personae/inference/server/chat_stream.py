"""Chat completions as server-sent events in OpenAI's format, one chunk per piece of text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class PartialAnswer(NamedTuple):
    """The text of one choice so far.

    Attributes
    ----------
    choice
        Number of the choice.
    text
        Its text so far.
    end
        Further fields of the choice's last chunk, including ``finish_reason``; None before it.
    """

    choice: int
    text: str
    end: Mapping[str, Any] | None = None


class ChatEvents:
    """Turns partial answers into chunks of their new text.

    Parameters
    ----------
    common
        Fields of every chunk: id, created, model.
    stop
        Texts at which an answer ends; text that may be the start of one is held back.
    """

    media_type = "text/event-stream"
    kind = "chat.completion.chunk"

    def __init__(self, common: Mapping[str, Any], stop: Sequence[str]) -> None:
        self._common, self._stop = dict(common), list(stop)
        self._held = max((len(mark) - 1 for mark in stop), default=0)
        self._sent: dict[int, int] = {}

    def write(self, piece: PartialAnswer | Mapping[str, Any]) -> bytes:
        """Return the chunk of a partial answer, empty if nothing is new; a mapping is the usage."""
        if not isinstance(piece, PartialAnswer):
            return self._event({"choices": [], "usage": dict(piece)})
        text = cut(piece.text, self._stop)
        is_cut = len(text) < len(piece.text)
        is_last = piece.end is not None
        sure = len(text) if is_last or is_cut else len(_whole(text)) - self._held
        begun = piece.choice in self._sent
        sent = self._sent.get(piece.choice, 0)
        if sure > sent:
            self._sent[piece.choice] = sure
        elif not is_last:
            return b""
        end = {"finish_reason": None, **(piece.end or {})}
        if is_last and is_cut:
            end["finish_reason"] = "stop"
        new = self._said(text[sent : max(sent, sure)], begun)
        return self._event({"choices": [{"index": piece.choice, **new, **end}]})

    def _said(self, new: str, begun: bool) -> dict[str, Any]:
        """Return what a chunk says; the first of a choice names the speaker."""
        delta = {} if begun else {"role": "assistant"}
        return {"delta": {**delta, "content": new} if new else delta}

    def failure(self, kind: str, message: str) -> bytes:
        """Return the event with the reason why the stream ends early."""
        return _event({"error": {"type": kind, "message": message}})

    def close(self) -> bytes:
        """Return the end of the stream."""
        return b"data: [DONE]\n\n"

    def _event(self, content: Mapping[str, Any]) -> bytes:
        return _event({**self._common, "object": self.kind, **content})


class TextEvents(ChatEvents):
    """The same for plain completions, whose chunks hold their text alone."""

    kind = "text_completion"

    def _said(self, new: str, begun: bool) -> dict[str, Any]:
        return {"text": new}


def cut(text: str, stop: Sequence[str]) -> str:
    """Return a text up to the first stop text in it."""
    places = [place for mark in stop if mark and (place := text.find(mark)) >= 0]
    return text[: min(places)] if places else text


def _whole(text: str) -> str:
    """Return a text without an incomplete character at its end."""
    return text.rstrip("\N{REPLACEMENT CHARACTER}")


def _event(content: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(content)}\n\n".encode()
