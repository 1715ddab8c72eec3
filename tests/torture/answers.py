"""Damage to the database of answers: flipped bits, overwritten stretches, cut ends."""

from __future__ import annotations

import random
from pathlib import Path
from unittest import mock

from personae.endpoints.answer_database import FILE, AnswerDatabase
from personae.endpoints.chat_answer import ChatAnswer
from personae.endpoints.database_errors import DatabaseError
from personae.endpoints.spending import Charge

_ANSWERS = 200
_STRETCHES = (4, 64, 4096)  # bytes that are overwritten at once


def damage_answers(folder: Path, n: int, seed: int) -> list[str]:
    """Damage a database ``n`` times, each time from sound; return what went wrong.

    Right is to give back only answers as they were, the others counting as missing, or to refuse
    the file in one line that names it.
    """
    right = {
        f"key {number:04}": ChatAnswer(f"VERDICT: {number}", "stop") for number in range(_ANSWERS)
    }
    with AnswerDatabase(folder) as database:
        for key, answer in right.items():
            database.keep(key, answer, "judge", "study", Charge(1))
    whole, draw = (folder / FILE).read_bytes(), random.Random(seed)
    with mock.patch("personae.endpoints.answer_database.LOG"):  # a warning each time
        tried = [_tried(folder, right, *_damaged(whole, draw)) for _ in range(n)]
    return [line for line in tried if line]


def _damaged(whole: bytes, draw: random.Random) -> tuple[str, bytes]:
    """Return what was done to a file, and its bytes."""
    at = draw.randrange(len(whole))
    match draw.randrange(3):
        case 0:
            flipped = bytes([whole[at] ^ 1 << draw.randrange(8)])
            return f"bit of byte {at}", whole[:at] + flipped + whole[at + 1 :]
        case 1:
            random_bytes = draw.randbytes(draw.choice(_STRETCHES))
            overwritten = whole[:at] + random_bytes + whole[at + len(random_bytes) :]
            return f"{len(random_bytes)} random bytes at {at}", overwritten[: len(whole)]
        case _:
            return f"cut to {at} bytes", whole[:at]


def _tried(folder: Path, right: dict[str, ChatAnswer], how: str, data: bytes) -> str:
    """Use a damaged database as a run does; return what is wrong, or nothing."""
    for path in folder.iterdir():
        path.unlink()
    (folder / FILE).write_bytes(data)
    try:
        with AnswerDatabase(folder) as database:
            database.spent("study")
            found = database.known(right)
            for key, answer in right.items():
                if key not in found:
                    database.keep(key, answer, "judge", "study", Charge(1))
                    break
    except DatabaseError as error:
        text = str(error)
        is_right = (
            text.startswith(f"{folder / FILE}: ") and "is damaged" in text and "\n" not in text
        )
        return "" if is_right else f"answers, {how}: {text}"
    except Exception as error:  # whatever comes is what is wrong
        return f"answers, {how}: {type(error).__name__}: {error}"
    wrong = [key for key, answer in found.items() if right[key] != answer]
    return f"answers, {how}: {wrong[0]} is read as {found[wrong[0]]}" if wrong else ""
