"""What a node used, in its log."""

from __future__ import annotations

import numpy as np

from personae.workflow.node_usage import NodeUsage


def test_use_is_read_back_from_the_line_of_a_log() -> None:
    used = NodeUsage(12.34, 0.614e9, 1.25e9)
    text = f"10:00:00 INFO plot\n10:00:12 INFO done: {used.line()}\n"
    assert NodeUsage.of_log(text) == NodeUsage(12.3, 0.61e9, 1.25e9)
    assert NodeUsage.of_log("10:00:00 INFO plot\n") is None


def test_memory_and_bytes_of_this_process_are_counted() -> None:
    before = NodeUsage.now()
    held = np.ones(40_000_000)  # more than any peak that came before it
    held = np.concatenate([held, held])
    with open("/proc/self/maps", "rb") as file:
        read = len(file.read())
    after = NodeUsage.now()
    assert after.memory >= held.nbytes
    assert after.read - before.read >= read
    assert after.seconds >= before.seconds
