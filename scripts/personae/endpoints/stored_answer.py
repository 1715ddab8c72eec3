"""An answer as it lies in the database: its JSON with a checksum.

SQLite does not notice a changed byte inside a value, so that bit rot would be read as an answer.
"""

from __future__ import annotations

import zlib
from typing import Final

from personae.endpoints.chat_answer import ChatAnswer

_CHECKSUM: Final = ',"crc32":"'


def to_stored(key: str, answer: ChatAnswer) -> str:
    """Return the text that is stored under ``key``."""
    text = answer.to_json()
    return f'{text[:-1]}{_CHECKSUM}{_checksum(key, text)}"}}'


def from_stored(key: object, stored: object) -> ChatAnswer | None:
    """Read what `to_stored` wrote; None if key or text are not what they were.

    Answers that were stored without a checksum, by earlier versions, are read as they are.
    """
    if not isinstance(key, str) or not isinstance(stored, str):
        return None
    text, mark, checksum = stored.rpartition(_CHECKSUM)
    if mark:
        text = f"{text}}}"
        if checksum != f'{_checksum(key, text)}"}}':
            return None
    try:
        return ChatAnswer.from_json(text if mark else stored)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _checksum(key: str, text: str) -> str:
    return f"{zlib.crc32(f'{key} {text}'.encode(errors='surrogatepass')):08x}"
