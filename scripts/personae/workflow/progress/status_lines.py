"""Lines for people: on a terminal the last one is a status that is written again in place."""

from __future__ import annotations

import shutil
from typing import TextIO

_CLEAR = "\r\x1b[K"


class StatusLines:
    """Writes lines to a stream; a stream that is no terminal gets no status and no codes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._has_status = False

    def say(self, line: str) -> None:
        """Write a line above the status."""
        self._clear()
        print(line, file=self._stream, flush=True)

    def status(self, text: str) -> None:
        """Replace the status, cut to the terminal's width."""
        if not self._is_terminal:
            return
        width = shutil.get_terminal_size().columns - 1
        self._stream.write(f"{_CLEAR}{text[:width]}")
        self._stream.flush()
        self._has_status = True

    def _clear(self) -> None:
        if self._has_status:
            self._stream.write(_CLEAR)
            self._has_status = False
