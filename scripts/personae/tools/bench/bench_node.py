"""One node that requests one token: ``python -m personae.tools.bench.bench_node SPEC warm|cold``.

It prints the seconds that its computation takes. Like a node of the workflow it imports no torch,
unless it loads the model itself.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import personae.workflow.node  # noqa: F401 - what every node imports
from personae.api.requests import EngineSpec, GenerateRequest, GenerateRow, Message, Sampling
from personae.inference.client import connect


def main(text: str, arm: str) -> None:
    """Ask twice: the second call's time, doubled, is the computation."""
    spec = EngineSpec.model_validate_json(text)
    row = GenerateRow(id="0", seed=0, messages=[Message(role="user", content="Who are you?")])
    request = GenerateRequest(rows=[row], sampling=Sampling(max_new_tokens=1))
    if arm == "warm":
        with connect(spec) as client:
            print(_seconds(lambda: client.generate(request.rows, request.sampling)))
    else:
        from personae.inference.torch_engine.engine import Engine

        engine = Engine(spec)
        print(_seconds(lambda: list(engine.generate(request))))


def _seconds(ask: Callable[[], object]) -> float:
    ask()
    start = time.perf_counter()
    ask()
    return 2 * (time.perf_counter() - start)


if __name__ == "__main__":
    main(*sys.argv[1:])
