"""Names of a checkpoint's tensors: what a wrapper prepended, and what does not fit the model.

transformers fills a tensor that a checkpoint lacks with random numbers and drops one that it does
not know, with a warning at most. Here both are errors.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

from safetensors import safe_open

from personae.inference.engine_errors import ModelError

PREFIXES: Final = ("base_model.model.", "language_model.", "_orig_mod.")
"""Prefixes that PEFT, vision-language wrappers and torch.compile add to tensor names."""

_SHOWN: Final = 3
_KINDS: Final = {
    "missing_keys": "missing",
    "unexpected_keys": "unknown to the model",
    "mismatched_keys": "of another shape than the model's",
}


def renaming(weights: Path) -> dict[str, str] | None:
    """Return the ``key_mapping`` of `from_pretrained` that removes a wrapper's prefix.

    Parameters
    ----------
    weights
        Folder of safetensors files.

    Returns
    -------
    dict[str, str] | None
        None where the tensors do not all share a prefix of `PREFIXES`.
    """
    names = [name for path in sorted(weights.glob("*.safetensors")) for name in _names(path)]
    prefix = ""
    while found := _shared(names, prefix):
        prefix += found
    return {f"^{re.escape(prefix)}": ""} if prefix else None


def check_tensors(folder: Path, loading_info: Mapping[str, Collection[Any]]) -> None:
    """Refuse a model some of whose tensors did not come from its checkpoint, or the other way.

    Parameters
    ----------
    folder
        The prepared model, for the message.
    loading_info
        What `from_pretrained` returns with ``output_loading_info``.

    Raises
    ------
    ModelError
        Naming the first few tensors of each kind, and how many there are.
    """
    wrong = [
        f"{len(keys)} {what} ({_some(keys)})"
        for kind, what in _KINDS.items()
        if (keys := loading_info.get(kind))
    ]
    if wrong:
        raise ModelError(
            f"{folder}: tensors {', '.join(wrong)}: the checkpoint and its config.json are not of "
            "one model; use a complete checkpoint as transformers saves it"
        )


def _names(path: Path) -> list[str]:
    with safe_open(path, framework="numpy") as file:
        return list(file.keys())


def _shared(names: Collection[str], prefix: str) -> str:
    """Return the next prefix that all names share after ``prefix``, or an empty string."""
    shared = (p for p in PREFIXES if names and all(n.startswith(prefix + p) for n in names))
    return next(shared, "")


def _some(keys: Collection[Any]) -> str:
    # A tensor of another shape comes as its name with both shapes.
    names = sorted(key if isinstance(key, str) else str(key[0]) for key in keys)
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
