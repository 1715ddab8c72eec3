"""Run one node's ``main`` and print what it took: ``python -m personae.tools.bench.scale_node``.

It reads ``{"module": ..., "arguments": {...}}`` from standard input, as JSON.
"""

from __future__ import annotations

import importlib
import json
import logging
import resource
import sys
from pathlib import Path
from typing import NamedTuple

from threadpoolctl import threadpool_limits


class NodeCost(NamedTuple):
    """CPU seconds, peak memory and bytes read of a node, its imports included."""

    seconds: float
    memory: int
    read: int


def main() -> None:
    """Run the node with one BLAS thread."""
    logging.disable(logging.WARNING)
    spec = json.load(sys.stdin)
    with threadpool_limits(1):
        importlib.import_module(spec["module"]).main(**spec["arguments"], provenance={})
    used = resource.getrusage(resource.RUSAGE_SELF)
    io = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    print(
        json.dumps(NodeCost(used.ru_utime + used.ru_stime, 1024 * used.ru_maxrss, int(io["rchar"])))
    )


if __name__ == "__main__":
    main()
