"""Signals of programs that tests start."""

import signal


def heed_signals() -> None:
    """Take the signals as a program at a terminal does; one in the background ignores some."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
