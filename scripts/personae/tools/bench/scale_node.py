"""Run the ``main`` of one node and print what it used: ``bench.scale_bench`` starts it.

The node is read from standard input as JSON: ``module`` below ``scripts/``, and ``arguments``.
"""

from __future__ import annotations

import importlib
import json
import logging
import sys

from threadpoolctl import threadpool_limits

from personae.workflow.node_usage import NodeUsage


def main() -> None:
    """Run the node with one BLAS thread."""
    logging.disable(logging.WARNING)
    spec = json.load(sys.stdin)
    with threadpool_limits(1):
        importlib.import_module(spec["module"]).main(**spec["arguments"], provenance={})
    print(NodeUsage.now().line())


if __name__ == "__main__":
    main()
