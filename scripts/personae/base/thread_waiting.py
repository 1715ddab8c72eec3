"""How the threads of a computation on CPUs wait for each other, passed through the environment.

OpenMP's threads spin by default. Where another process wants their core, a thread that spins uses
up its share of it, and the others wait until it gets the next one: two model servers on the same
two cores then compute at a fortieth of their speed, and one beside a busy process at a quarter.
Threads that sleep are woken at once; a server that has the cores to itself is slower by up to a
third where its matrices are small (docs/bench.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

VARIABLES: Final = frozenset({"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"})
"""By which a user chooses how threads wait."""


def waiting_asleep(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which threads sleep while they wait; a user's choice is kept."""
    ours = {} if VARIABLES & set(environment) else {"OMP_WAIT_POLICY": "PASSIVE"}
    return {**ours, **environment}
