"""Values with a fixed meaning in the columns of tables."""

from __future__ import annotations

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
