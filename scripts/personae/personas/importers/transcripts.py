"""Read conversations in external formats as transcripts of user and assistant turns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from personae.personas.importers.file_reading import (
    ImportedValue,
    json_folder,
    json_records,
    slug_in,
    slugify,
)
from personae.personas.importers.skipped_records import SkippedRecord
from personae.personas.library.conversation_records import DriftConversation
from personae.personas.library.import_source import ImportSource, Unfit
from personae.personas.library.yaml_reader import LibraryError, validate

_SPEAKERS: Final = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "system": "system",
}
_TOOLS: Final = frozenset({"tool", "function", "function_call", "observation", "ipython"})
_LISTS: Final = ("conversations", "conversation", "messages")

_IDS: Final = ("id", "conversation_id", "conversation_hash")


_Talk = tuple[str, str, DriftConversation]
"""Place, name and record."""


def axis_transcripts(source: ImportSource, base: Path) -> Iterator[_Talk]:
    """Yield place, name and record of ``{"conversation": [{"role", "content"}], ...}`` files."""
    for stem, item in json_folder(base, source.path):
        try:
            yield _conversation(source, stem, item, "conversation")
        except _UnfitError as unfit:
            raise LibraryError(f"{unfit}; correct it") from None


def sharegpt(source: ImportSource, base: Path) -> Iterator[_Talk | SkippedRecord]:
    """Yield place, name and record of every valid conversation, and the skipped records.

    Each record has a list ``conversations``, ``conversation`` (LMSYS, WildChat) or ``messages``, of
    turns with ``from`` and ``value`` or ``role`` and ``content``. The source's ``unfit`` says what
    becomes of each kind of conversation that a transcript cannot hold.
    """
    for number, item in enumerate(json_records(base, source.path)):
        data = item.data if isinstance(item.data, dict) else {}
        named = next((data[key] for key in _IDS if data.get(key) is not None), number)
        name = f"c{named:05d}" if isinstance(named, int) else named
        key = next((key for key in _LISTS if isinstance(data.get(key), list)), _LISTS[0])
        try:
            yield _conversation(source, name, item, key)
        except _UnfitError as unfit:
            if source.unfit.get(unfit.kind, "skip") == "refuse":
                raise LibraryError(f"{unfit}; correct it, or set unfit.{unfit.kind}") from None
            yield SkippedRecord(unfit.kind, str(unfit))


class _UnfitError(Exception):
    """A conversation that does not fit a transcript: kind of problem, and place."""

    def __init__(self, kind: Unfit, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def _conversation(source: ImportSource, name: object, item: ImportedValue, key: str) -> _Talk:
    data = item.data
    if not isinstance(data, dict) or not isinstance(data.get(key), list):
        raise LibraryError(
            f"{item.where}: the list {key!r} is missing; correct library.imports.format or the file"
        )
    named = slug_in(f"{item.where}: id", name, "correct it, or remove it to number the records")
    slug = f"{source.prefix}{named}"
    if data.get("tools"):
        raise _UnfitError("tools", f"{item.where}: tools are offered to the assistant")
    said = [
        _message(f"{item.where}: {key}[{index}]", message)
        for index, message in enumerate(data[key])
    ]
    record = {
        "domain": slugify(data.get("domain", "")) or source.category,
        "kind": source.kind,
        "title": _text(data.get("title") or data.get("topic")) or named.replace("_", " "),
        "description": _text(data.get("persona") or data.get("description")) or "Imported.",
        "turns": _turns(f"{item.where}: {key}", said, source),
    }
    return item.where, slug, validate(item.where, DriftConversation, record, (), slug=slug)


def _message(where: str, message: Any) -> tuple[str, str]:
    """Return speaker and text of one turn; speaker names are case-insensitive."""
    if not isinstance(message, Mapping):
        raise _UnfitError("malformed", f"{where}: must be a record of keys, not {message!r:.60}")
    speaker_key, text_key = ("from", "value") if "from" in message else ("role", "content")
    speaker, text = message.get(speaker_key), message.get(text_key)
    known = speaker.strip().lower() if isinstance(speaker, str) else ""
    if known in _TOOLS or message.get("tool_calls") or message.get("function_call"):
        raise _UnfitError("tools", f"{where}: a turn of a tool")
    if known not in _SPEAKERS:
        choices = ", ".join(_SPEAKERS)
        problem = f"unknown speaker {speaker!r:.40}; use one of {choices}"
        raise _UnfitError("malformed", f"{where}.{speaker_key}: {problem}")
    if not isinstance(text, str):
        raise _UnfitError("malformed", f"{where}.{text_key}: must be text, not {text!r:.60}")
    if not text.strip():
        raise _UnfitError("empty", f"{where}.{text_key}: an empty turn")
    return _SPEAKERS[known], text


def _turns(where: str, said: list[tuple[str, str]], source: ImportSource) -> list[dict[str, str]]:
    """Pair user and assistant turns; problems are repaired where ``unfit`` says keep.

    Kept are: a conversation with a system turn, without it; one whose user has the last word,
    without that; if a speaker has two turns in a row, both texts become one turn.
    """
    keeps = {kind for kind, policy in source.unfit.items() if policy == "keep"}
    if any(speaker == "system" for speaker, _ in said):
        if "system" not in keeps:
            raise _UnfitError("system", f"{where}: a system message, and transcripts have none")
        said = [turn for turn in said if turn[0] != "system"]
    joined: list[tuple[str, str]] = []
    for index, (speaker, text) in enumerate(said):
        if joined and joined[-1][0] == speaker:
            if "repeated_speaker" not in keeps:
                raise _UnfitError("repeated_speaker", f"{where}[{index}]: {speaker} speaks twice")
            joined[-1] = (speaker, f"{joined[-1][1]}\n\n{text}")
        else:
            joined.append((speaker, text))
    if not joined or joined[0][0] != "user":
        raise _UnfitError("malformed", f"{where}: must begin with the user")
    if len(joined) % 2:
        if "unanswered" not in keeps or len(joined) == 1:
            raise _UnfitError("unanswered", f"{where}: ends with the user's turn")
        joined.pop()
    return [
        {"user": user, "assistant": assistant}
        for (_, user), (_, assistant) in zip(joined[::2], joined[1::2], strict=True)
    ]


def _text(value: object) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""
