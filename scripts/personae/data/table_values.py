"""Values with a fixed meaning in the columns of tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

DEFAULT: Final = "default"
"""Stands for the default Assistant where a table names a role; no role may be called so."""

SIMULATED: Final = "simulated"
"""Arm and kind of conversations whose user turns are written during the conversation."""

SYSTEM_PROMPT: Final = "system_prompt"
MANY_SHOT: Final = "many_shot"
"""Kinds of condition under which a trait is monitored."""

ROLE_SPANS: Final = ("response_mean",)
"""Spans of the activations of a role's rollouts."""

TRAIT_SPANS: Final = ("response_mean", "prompt_mean", "last_prompt")
"""Spans of the activations of a trait's rollouts."""

SCALES: Final[dict[str, tuple[float, float]]] = {
    "role_adherence": (0.0, 3.0),
    "trait": (0.0, 100.0),
    "coherence": (0.0, 100.0),
    "role_label": (0.0, 1.0),
    "delusion_risk": (0.0, 100.0),
    "harm": (0.0, 3.0),
}
"""Lowest and highest score of each rubric."""


def number_or_none(value: float | None) -> float | None:
    """Return a float for a column, or None (null) for a missing or undefined (NaN) one."""
    return None if value is None or math.isnan(value) else float(value)


def numbers_or_none(values: Mapping[str, float | None]) -> dict[str, float | None]:
    """Return the numbers of a row, see `number_or_none`."""
    return {name: number_or_none(value) for name, value in values.items()}
