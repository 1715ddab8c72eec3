"""A study as small as a study may be: two roles, one trait, one question of everything."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any, Final

import yaml

from .study import STUDY, TortureStudy, make_study

SMALLEST: Final[dict[str, Any]] = {
    "roles": {"names": ["pirate", "wizard"], "prompts": 1, "questions": {"extraction": 1}},
    "traits": {"names": ["poetic"], "pairs": 1, "questions": {"extraction": 1, "evaluation": 2}},
    "trait_space": {"names": ["archaic"], "questions": 1},
    "layer_sweep": {"layers": [1], "questions": 1},
    "steering": {"questions": 1},
    "monitoring": {"prompts": 1, "shots": [0], "questions": 1},
    "finetuning": {"examples": 1, "batch": 1, "closed_answers": 1},
    "capping": {"closed_answers": 1},
    "susceptibility": {"roles": ["pirate"]},
    "capability": {"items": 1},
    "harm": {"probes": 1},
    "judging": {"max_unscored": 1.0},  # the judge has no verdict for one answer in ten
    "drift": {"conversations": ["coding_calm"], "simulated": {"turns": 1}},
}
"""Changes to the mini study."""

_UNDEFINED = re.compile(
    r"(?i)\b(?:nan|inf)\b|nan%|most (?:alike|similar)[^.]*[-\N{MINUS SIGN}]1\.00"
)
_HIDDEN = re.compile(r"<(script|style)\b.*?</\1>|data:[^\"']*", re.DOTALL)


def make_small_study(root: Path, judge: str, changes: dict[str, Any] = SMALLEST) -> TortureStudy:
    """Make the torture study in ``root`` with these changes."""
    study = make_study(root, judge)
    settings = yaml.safe_load((root / STUDY).read_text(encoding="utf-8"))
    _merge(settings, changes)
    (root / STUDY).write_text(yaml.safe_dump(settings), encoding="utf-8")
    return study


def undefined_numbers(page: Path) -> list[str]:
    """Return what a report says of numbers that there are none of, each with its surroundings."""
    text = _HIDDEN.sub(" ", page.read_text(encoding="utf-8"))
    alternatives = " ".join(re.findall(r'(?:alt|title|aria-label)="([^"]*)"', text))
    plain = html.unescape(re.sub(r"<[^>]+>", " ", text) + alternatives)
    return [
        " ".join(plain[max(0, found.start() - 60) : found.end() + 40].split())
        for found in _UNDEFINED.finditer(plain)
    ]


def _merge(settings: dict[str, Any], changes: dict[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, dict):
            _merge(settings.setdefault(key, {}), value)
        else:
            settings[key] = value
