"""An event loop whose clock jumps to the next timer, so that tests of waiting take no time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Jump(selectors.DefaultSelector):
    """Instead of waiting, moves the clock; nothing in these tests comes from outside."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        self.now += (timeout or 0.0) + 1e-6  # no step is free, or a rounding error waits for ever
        return super().select(0)


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """Run ``main`` in such a loop; its time begins at 0."""
    selector = _Jump()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now  # type: ignore[method-assign]
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main)
