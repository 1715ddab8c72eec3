"""Schemas of alarms, fine-tuning and data screening; conventions as in `personae.data.schemas`.

``dataset`` is the name of training data, such as ``poetic_strong``; ``adapter`` that of an adapter
trained on it, such as ``poetic_strong_plain``, or ``base`` for the model before training.
``trained`` is the trait of the training data, ``trait`` the trait that is measured. A shift or
difference is along the trait vector, in units of its length, and positive toward the trait.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

_TEXT = pa.string()
_INDEX = pa.int16()
_COUNT = pa.int32()
_NUMBER = pa.float64()

TRAIT_ROLLOUTS: Final[dict[str, dict[str, pa.DataType]]] = {
    "finetuned_responses": {
        "adapter": _TEXT,
        "trained": _TEXT,
        "level": _TEXT,
        "arm": _TEXT,
        "coefficient": _NUMBER,
        "trait": _TEXT,
        "question_id": _TEXT,
        "sample": _INDEX,
    },
    "compared_responses": {
        "trait": _TEXT,
        "arm": _TEXT,
        "layer": _INDEX,
        "coefficient": _NUMBER,
        "positions": _TEXT,
        "question_id": _TEXT,
        "sample": _INDEX,
    },
    "own_answers": {"dataset": _TEXT, "row": _COUNT, "sample": _INDEX},
}
"""Columns that generated responses add to the common ones."""

TRAIT_SCHEMAS: Final[dict[str, pa.Schema]] = {
    "training_losses": pa.schema(
        {"adapter": _TEXT, "step": _COUNT, "n_tokens": _COUNT, "loss": _NUMBER}
    ),
    "closed_answers": pa.schema(
        {
            "adapter": _TEXT,
            "trained": _TEXT,
            "arm": _TEXT,
            "coefficient": _NUMBER,
            "item": _TEXT,
            "correct": _NUMBER,
        }
    ),
    "finetuning_shifts": pa.schema(
        {
            "adapter": _TEXT,
            "trained": _TEXT,
            "level": _TEXT,
            "arm": _TEXT,
            "trait": _TEXT,
            "layer": _INDEX,
            "vector": _TEXT,
            "judge": _TEXT,
            "n": _COUNT,
            "n_unscored": _COUNT,
            "shift": _NUMBER,
            "shift_low": _NUMBER,
            "shift_high": _NUMBER,
            "score_before": _NUMBER,
            "score_after": _NUMBER,
            "change": _NUMBER,
            "change_low": _NUMBER,
            "change_high": _NUMBER,
        }
    ),
    "finetuning_correlations": pa.schema(
        {
            "pairs": _TEXT,
            "n": _COUNT,
            "n_adapters": _COUNT,
            "r": _NUMBER,
            "low": _NUMBER,
            "high": _NUMBER,
            "shuffled_p95": _NUMBER,
            "p_value": _NUMBER,
        }
    ),
    "finetuning_defences": pa.schema(
        {
            "trained": _TEXT,
            "arm": _TEXT,
            "coefficient": _NUMBER,
            "measure": _TEXT,
            "judge": _TEXT,
            "n": _COUNT,
            "n_unscored": _COUNT,
            "value": _NUMBER,
            "low": _NUMBER,
            "high": _NUMBER,
            "matched": _NUMBER,
            "difference": _NUMBER,
            "difference_low": _NUMBER,
            "difference_high": _NUMBER,
            "in_reach": pa.bool_(),
        }
    ),
    "screened_rows": pa.schema(
        {
            "dataset": _TEXT,
            "row": _COUNT,
            "prompt_id": _TEXT,
            "trait": _TEXT,
            "layer": _INDEX,
            "training": _NUMBER,
            "own": _NUMBER,
            "own_first": _NUMBER,
            "n_own": _COUNT,
        }
    ),
    "screening": pa.schema(
        {
            "dataset": _TEXT,
            "trained": _TEXT,
            "level": _TEXT,
            "trait": _TEXT,
            "layer": _INDEX,
            "n": _COUNT,
            "difference": _NUMBER,
            "low": _NUMBER,
            "high": _NUMBER,
            "threshold": _NUMBER,
            "n_flagged": _COUNT,
            "auc": _NUMBER,
            "auc_low": _NUMBER,
            "auc_high": _NUMBER,
            "cheap_r": _NUMBER,
            "cheap_error": _NUMBER,
            "cheap_auc": _NUMBER,
            "shift": _NUMBER,
            "change": _NUMBER,
        }
    ),
    "monitoring_alerts": pa.schema(
        {
            "trait": _TEXT,
            "layer": _INDEX,
            "shown_from": _NUMBER,
            "most_false_alarms": _NUMBER,
            "threshold": _NUMBER,
            "n_choosing": _COUNT,
            "n_shown": _COUNT,
            "n_other": _COUNT,
            "false_alarms": _NUMBER,
            "false_alarms_low": _NUMBER,
            "false_alarms_high": _NUMBER,
            "caught": _NUMBER,
            "caught_low": _NUMBER,
            "caught_high": _NUMBER,
            "auc": _NUMBER,
            "auc_low": _NUMBER,
            "auc_high": _NUMBER,
        }
    ),
    "vector_tokens": pa.schema(
        {
            "direction": _TEXT,
            "layer": _INDEX,
            "side": _TEXT,
            "rank": _INDEX,
            "token_id": _COUNT,
            "token": _TEXT,
            "logit": _NUMBER,
            "null_p95": _NUMBER,
        }
    ),
    "vector_features": pa.schema(
        {
            "autoencoder": _TEXT,
            "trait": _TEXT,
            "layer": _INDEX,
            "by": _TEXT,
            "side": _TEXT,
            "rank": _INDEX,
            "feature": _COUNT,
            "name": _TEXT,
            "value": _NUMBER,
            "null_p95": _NUMBER,
        }
    ),
    "compared_closed": pa.schema({"trait": _TEXT, "arm": _TEXT, "item": _TEXT, "correct": _NUMBER}),
    "compared_scores": pa.schema(
        {
            "trait": _TEXT,
            "arm": _TEXT,
            "measured": _TEXT,
            "unit": _TEXT,
            "score": _NUMBER,
            "n_unscored": _COUNT,
        }
    ),
    "steering_comparison": pa.schema(
        {
            "trait": _TEXT,
            "arm": _TEXT,
            "measured": _TEXT,
            "n": _COUNT,
            "n_unscored": _COUNT,
            "mean": _NUMBER,
            "mean_low": _NUMBER,
            "mean_high": _NUMBER,
            "change": _NUMBER,
            "change_low": _NUMBER,
            "change_high": _NUMBER,
            "random_p95": _NUMBER,
            "n_random": _COUNT,
        }
    ),
    "layer_choices": pa.schema(
        {
            "trait": _TEXT,
            "layer": _INDEX,
            "coefficient": _NUMBER,
            "dose": _NUMBER,
            "gain": _NUMBER,
            "coherence": _NUMBER,
            "chosen": pa.bool_(),
            "share": _NUMBER,
            "n_questions": _COUNT,
            "heldout_gain": _NUMBER,
            "heldout_low": _NUMBER,
            "heldout_high": _NUMBER,
            "separation_auc": _NUMBER,
            "norm_ratio": _NUMBER,
            "logit_effect": _NUMBER,
            "agree_separation_auc": _NUMBER,
            "agree_norm_ratio": _NUMBER,
            "agree_logit_effect": _NUMBER,
        }
    ),
    "trait_pair_cosines": pa.schema(
        {
            "layer": _INDEX,
            "left": _TEXT,
            "right": _TEXT,
            "cosine": _NUMBER,
            "null_p95": _NUMBER,
            "p_value": _NUMBER,
        }
    ),
    "trait_positions": pa.schema(
        {
            "trait": _TEXT,
            "layer": _INDEX,
            "axis_cosine": _NUMBER,
            "axis_null_p95": _NUMBER,
            "role_share": _NUMBER,
            "chance_share": _NUMBER,
            "group": _INDEX,
        }
    ),
    "flagged_rows": pa.schema(
        {
            "dataset": _TEXT,
            "row": _COUNT,
            "trait": _TEXT,
            "difference": _NUMBER,
            "threshold": _NUMBER,
            "flagged": pa.bool_(),
        }
    ),
}
