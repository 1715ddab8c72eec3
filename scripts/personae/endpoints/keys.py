"""Keys of endpoints: from the environment or .env, and nowhere else.

A key that was read is remembered, and `scrub` takes it out of every text that is logged, shown or
kept: an endpoint may repeat the key in what it says about it.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

from personae.base.errors import PersonaeError

MASK: Final = "[key]"
_SHORTEST: Final = 6  # shorter keys are placeholders such as "none", which occur in plain text
_known: list[str] = []  # longest first, so that a key which begins like another leaves no rest


def find_key(variable: str, root: Path = Path()) -> str | None:
    """Return the key in an environment variable, else in ``.env`` at ``root``, else None.

    White space around it, such as the line break of a file that became a secret, is no part of it.

    Raises
    ------
    PersonaeError
        When no HTTP header can carry it: libraries would show such a key, escaped, in their errors.
    """
    key = os.environ.get(variable, "").strip() or _from_file(root / ".env", variable).strip()
    if not (key.isascii() and key.isprintable()):
        raise PersonaeError(
            f"{variable}: the key holds a character that no key has (a control character, or one "
            "that is not ASCII); copy it anew"
        )
    if len(key) >= _SHORTEST and key not in _known:
        _known.append(key)
        _known.sort(key=len, reverse=True)
    return key or None


def require_key(variable: str, endpoint: str, root: Path = Path()) -> str:
    """Return the key of an endpoint.

    Raises
    ------
    PersonaeError
        When there is none, or none that can be sent: the line names the variable.
    """
    key = find_key(variable, root)
    if key is None:
        raise PersonaeError(missing_key(variable, endpoint))
    return key


def missing_key(variable: str, endpoint: str) -> str:
    """Return the line that says that an endpoint has no key."""
    return (
        f"endpoints.{endpoint}.key_variable: {variable} is not set; export it with the key, or "
        "write it into .env"
    )


def scrub(text: str) -> str:
    """Return ``text`` without any key that was read.

    A text that is cut has to be scrubbed before: the cut may go through a key.
    """
    for key in _known:
        text = text.replace(key, MASK)
    return text


class Scrubber(logging.Formatter):
    """A formatter whose lines hold no key, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        return scrub(super().format(record))


def _from_file(path: Path, variable: str) -> str:
    if not path.is_file():
        return ""
    # Imported here: every Snakemake process imports this module, and most need no file.
    from dotenv import dotenv_values

    return dotenv_values(path, interpolate=False).get(variable) or ""
