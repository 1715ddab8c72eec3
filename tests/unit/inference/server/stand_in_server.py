"""The real server program around the stand-in engine; run as ``python -m stand_in_server``."""

from __future__ import annotations

import sys
from types import ModuleType

from stand_in import StandIn

from personae.inference.server.__main__ import main

core = ModuleType("personae.inference.torch_engine.engine")
core.Engine = StandIn  # type: ignore[attr-defined]
sys.modules[core.__name__] = core

if __name__ == "__main__":
    main(sys.argv[1:])
