"""Signals in programs that tests start, and in tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


def reset_signals() -> None:
    """Restore the default action of SIGINT and SIGHUP; a background job inherits them ignored."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@contextmanager
def raising_interrupts() -> Iterator[None]:
    """Make SIGINT raise KeyboardInterrupt in this process, even if it is a background job."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
