"""Columns of the tables about held-out roles, speakers, harm and case studies.

`personae.data.schemas` registers them; its conventions hold here too.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

_TEXT = pa.string()
_INDEX = pa.int16()
_COUNT = pa.int32()
_NUMBER = pa.float64()

Columns = dict[str, pa.DataType]


def _interval(name: str) -> Columns:
    """An estimate and its bounds."""
    return {name: _NUMBER, f"{name}_low": _NUMBER, f"{name}_high": _NUMBER}


_HARM_ARM: Final[Columns] = {
    "contrast": _TEXT,
    "band": _TEXT,
    "percentile": _NUMBER,
    "reading": _TEXT,
    "strength": _NUMBER,
}

RESPONSES: Final[dict[str, Columns]] = {
    "speaker_responses": {
        "role": _TEXT,
        "prompt_index": _INDEX,
        "question_id": _TEXT,
        "sample": _INDEX,
        "direction": _TEXT,
        "layer": _INDEX,
        "strength": _NUMBER,
        "in_residual_norms": _NUMBER,
        "in_persona_gaps": _NUMBER,
    },
    "harm_responses": {
        "persona": _TEXT,
        "question_id": _TEXT,
        "category": _TEXT,
        "half": _TEXT,
        "sample": _INDEX,
        **_HARM_ARM,
    },
    "harm_link_responses": {
        "role": _TEXT,
        "first_turn": _TEXT,
        "question_id": _TEXT,
        "category": _TEXT,
    },
}
"""Kinds of generated responses, with the columns that they add to the common ones."""

TABLES: Final[dict[str, Columns]] = {
    "heldout_roles": {
        "role": _TEXT,
        "layer": _INDEX,
        "in_axis": pa.bool_(),
        "cosine": _NUMBER,
        "n_role": _COUNT,
        "n_default": _COUNT,
        "auc": _NUMBER,
        "auc_low": _NUMBER,
        "auc_high": _NUMBER,
        "auc_with": _NUMBER,
        "auc_random": _NUMBER,
        "p_random": _NUMBER,
        "null_p95": _NUMBER,
        "p_value": _NUMBER,
    },
    "speaker_shares": {
        "judge": _TEXT,
        "direction": _TEXT,
        "layer": _INDEX,
        "strength": _NUMBER,
        "unit": _TEXT,
        "in_residual_norms": _NUMBER,
        "in_persona_gaps": _NUMBER,
        "label": _TEXT,
        "n": _COUNT,
        "n_unscored": _COUNT,
        "clusters": _COUNT,
        **_interval("share"),
        **_interval("change"),
        "p_greater": _NUMBER,
        "p_less": _NUMBER,
        "random_change": _NUMBER,
        "beyond_p_greater": _NUMBER,
        "beyond_p_less": _NUMBER,
        **_interval("coherence"),
    },
    "harm_rates": {
        "judge": _TEXT,
        **_HARM_ARM,
        "half": _TEXT,
        "category": _TEXT,
        "n": _COUNT,
        "n_unscored": _COUNT,
        "clusters": _COUNT,
        **_interval("rate"),
        "severity": _NUMBER,
        "refuses": _NUMBER,
        "redirects": _NUMBER,
        "harmless": _NUMBER,
        **_interval("change"),
        "p_greater": _NUMBER,
        "p_less": _NUMBER,
        "random_change": _NUMBER,
        "beyond_p_less": _NUMBER,
        **_interval("accuracy_change"),
        "chosen": pa.bool_(),
        "pareto": pa.bool_(),
    },
    "harm_link_points": {
        "judge": _TEXT,
        "direction": _TEXT,
        "layer": _INDEX,
        "role": _TEXT,
        "first_turn": _TEXT,
        "question_id": _TEXT,
        "projection": _NUMBER,
        "rate": _NUMBER,
        "n": _COUNT,
        "n_unscored": _COUNT,
    },
    "harm_link": {
        "judge": _TEXT,
        "direction": _TEXT,
        "layer": _INDEX,
        "statistic": _TEXT,
        "n": _COUNT,
        "n_unscored": _COUNT,
        "clusters": _COUNT,
        "rate": _NUMBER,
        "value": _NUMBER,
        "low": _NUMBER,
        "high": _NUMBER,
        "null_p05": _NUMBER,
        "p_less": _NUMBER,
    },
    "token_projections": {
        "conversation": _TEXT,
        "arm": _TEXT,
        "turn": _INDEX,
        "token": _COUNT,
        "layer": _INDEX,
        "projection": _NUMBER,
    },
    "shown_tokens": {
        "source": _TEXT,
        "response_id": _TEXT,
        "direction": _TEXT,
        "layer": _INDEX,
        "pieces": pa.list_(_TEXT),
        "projections": pa.list_(_NUMBER),
    },
    "case_turns": {
        "judge": _TEXT,
        "conversation": _TEXT,
        "domain": _TEXT,
        "kind": _TEXT,
        "arm": _TEXT,
        "turn": _INDEX,
        "layer": _INDEX,
        "risk": _NUMBER,
        "harm": _NUMBER,
        "projection": _NUMBER,
    },
    "case_effects": {
        "judge": _TEXT,
        "measure": _TEXT,
        "statistic": _TEXT,
        "arm": _TEXT,
        "n": _COUNT,
        "clusters": _COUNT,
        "before": _NUMBER,
        "value": _NUMBER,
        "low": _NUMBER,
        "high": _NUMBER,
        "p_less": _NUMBER,
    },
}
"""Other kinds of table."""
