"""Keys of endpoints, from the environment or .env only.

`scrub` removes every key that was read from texts that are logged, shown or stored, since an
endpoint may repeat the key in an error.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

from personae.base.errors import PersonaeError

MASK: Final = "[key]"
_SHORTEST: Final = 6  # shorter keys are placeholders such as "none", which occur in plain text
_known: list[str] = []  # longest first, in case one key is the beginning of another


def find_key(variable: str, root: Path = Path()) -> str | None:
    """Return the key in an environment variable, else in ``.env`` at ``root``, else None.

    White space around the key, such as a trailing line break, is removed.

    Raises
    ------
    PersonaeError
        If it cannot be an HTTP header: libraries would show such a key, escaped, in their errors.
    """
    key = os.environ.get(variable, "").strip() or _from_file(root / ".env", variable).strip()
    if not (key.isascii() and key.isprintable()):
        raise PersonaeError(
            f"{variable}: the key holds a character that no key has (a control character, or one "
            "that is not ASCII); copy it again"
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
        If there is no usable key; the line names the variable.
    """
    key = find_key(variable, root)
    if key is None:
        raise PersonaeError(missing_key(variable, endpoint))
    return key


def missing_key(variable: str, endpoint: str) -> str:
    """Return the error message for an endpoint without a key."""
    return (
        f"endpoints.{endpoint}.key_variable: {variable} is not set; export it with the key, or "
        "write it into .env"
    )


def scrub(text: str) -> str:
    """Return ``text`` without any key that was read.

    Scrub a text before truncating it: the cut may split a key.
    """
    for key in _known:
        text = text.replace(key, MASK)
    return text


class Scrubber(logging.Formatter):
    """A log formatter that removes keys, also from tracebacks."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record."""
        return scrub(super().format(record))


def _from_file(path: Path, variable: str) -> str:
    if not path.is_file():
        return ""
    # Imported here: every Snakemake process imports this module, and most need no file.
    from dotenv import dotenv_values

    return dotenv_values(path, interpolate=False).get(variable) or ""
