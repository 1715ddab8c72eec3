"""Read conversations in external formats as transcripts of user and assistant turns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from personae.personas.importers.file_reading import (
    Item,
    json_folder,
    json_records,
    slug_in,
    slugify,
)
from personae.personas.library.conversation_records import DriftConversation
from personae.personas.library.import_source import ImportSource
from personae.personas.library.yaml_reader import LibraryError, validate

_SPEAKERS: Final = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
}

_IDS: Final = ("id", "conversation_id")


_Talk = tuple[str, str, DriftConversation]
"""Place, name and record."""


def axis_transcripts(source: ImportSource, base: Path) -> Iterator[_Talk]:
    """Yield place, name and record of ``{"conversation": [{"role", "content"}], ...}`` files."""
    for stem, item in json_folder(base, source.path):
        yield _conversation(source, stem, item, "conversation", ("role", "content"))


def sharegpt(source: ImportSource, base: Path) -> Iterator[_Talk]:
    """Yield place, name and record of ``{"id", "conversations": [{"from", "value"}]}``.

    ``messages`` with ``role`` and ``content`` is accepted as well.
    """
    for number, item in enumerate(json_records(base, source.path)):
        data = item.data if isinstance(item.data, dict) else {}
        named = next((data[key] for key in _IDS if data.get(key) is not None), number)
        name = f"c{named:05d}" if isinstance(named, int) else named
        if "messages" in data:
            yield _conversation(source, name, item, "messages", ("role", "content"))
        else:
            yield _conversation(source, name, item, "conversations", ("from", "value"))


def _conversation(
    source: ImportSource, name: object, item: Item, key: str, keys: tuple[str, str]
) -> _Talk:
    data = item.data
    if not isinstance(data, dict) or not isinstance(data.get(key), list):
        raise LibraryError(
            f"{item.where}: the list {key!r} is missing; correct library.imports.format or the file"
        )
    named = slug_in(f"{item.where}: id", name, "correct it, or remove it to number the records")
    slug = f"{source.prefix}{named}"
    said = [
        _message(f"{item.where}: {key}[{index}]", message, keys)
        for index, message in enumerate(data[key])
    ]
    record = {
        "domain": slugify(data.get("domain", "")) or source.category,
        "kind": source.kind,
        "title": _text(data.get("title") or data.get("topic")) or named.replace("_", " "),
        "description": _text(data.get("persona") or data.get("description")) or "Imported.",
        "turns": _turns(f"{item.where}: {key}", said),
    }
    return item.where, slug, validate(item.where, DriftConversation, record, (), slug=slug)


def _message(where: str, message: Any, keys: tuple[str, str]) -> tuple[str, str]:
    speaker_key, text_key = keys
    if not isinstance(message, Mapping):
        raise LibraryError(f"{where}: must be a record of keys, not {message!r:.60}")
    speaker, text = message.get(speaker_key), message.get(text_key)
    if not isinstance(text, str):
        raise LibraryError(f"{where}.{text_key}: must be text, not {text!r:.60}")
    if speaker == "system":
        raise LibraryError(f"{where}: a system message; transcripts have none, so remove it")
    if not isinstance(speaker, str) or speaker not in _SPEAKERS:
        known = ", ".join(_SPEAKERS)
        raise LibraryError(
            f"{where}.{speaker_key}: unknown speaker {speaker!r}; use one of {known}"
        )
    return _SPEAKERS[speaker], text


def _turns(where: str, said: list[tuple[str, str]]) -> list[dict[str, str]]:
    for index, (speaker, _) in enumerate(said):
        wanted = ("user", "assistant")[index % 2]
        if speaker != wanted:
            raise LibraryError(
                f"{where}[{index}]: {speaker} where {wanted} must follow; correct the order"
            )
    if len(said) % 2:
        raise LibraryError(f"{where}: ends with the user's turn; remove it or add the answer")
    return [
        {"user": user, "assistant": assistant}
        for (_, user), (_, assistant) in zip(said[::2], said[1::2], strict=True)
    ]


def _text(value: object) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""
