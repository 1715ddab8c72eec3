"""A PEFT adapter and its base model become one model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from peft import PeftModel, get_peft_model_state_dict
from safetensors import safe_open
from transformers import AutoTokenizer, PreTrainedModel

from personae.base.atomic_files import replace_atomically
from personae.inference.engine_errors import ModelError
from personae.inference.tensor_names import check_tensors
from personae.inference.torch_engine.model_class import read_weights
from personae.inference.weights_manifest import file_digests, weights_digest

BASE: Final = "base_weights.json"
"""File of an adapter trained here: digests of the weights that it was trained on, and of its own
files."""


def merge_adapter(adapter: Path, base: Path, out: Path) -> None:
    """Add an adapter's weights to those of its base model and save the sum to the folder ``out``.

    The number format stays the base model's. The tokenizer is the adapter's if it brings one.

    Raises
    ------
    ModelError
        When the adapter does not fit the base model, or was trained on other weights.
    """
    model = read_weights(base, base, dtype="auto")
    merged = apply_adapter(model, adapter, weights_digest(file_digests(base)))
    merged.save_pretrained(out)
    has_own = (adapter / "tokenizer_config.json").is_file()
    AutoTokenizer.from_pretrained(adapter if has_own else base).save_pretrained(out)


def apply_adapter(model: PreTrainedModel, adapter: Path, digest: str) -> PreTrainedModel:
    """Return the model with an adapter's weights added to its own, in its own number format.

    Parameters
    ----------
    model
        The base model; it is changed.
    adapter
        Folder of the adapter.
    digest
        Digest of the base model's weights, see `weights_digest`. Adapters that were trained here
        name the one they belong to.

    Raises
    ------
    ModelError
        When the adapter does not fit the base model, was trained on other weights, or a file of it
        is not as it was written.
    """
    _check_pinned(adapter, digest)
    try:
        merged: Any = PeftModel.from_pretrained(model, str(adapter))
        _check_tensors(adapter, merged)
        found: PreTrainedModel = merged.merge_and_unload(safe_merge=True)
    except ModelError:
        raise
    except (ValueError, RuntimeError, KeyError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"adapter {adapter} does not fit its base model: {reason}; correct it"
        ) from None
    return found


def _check_pinned(adapter: Path, digest: str) -> None:
    """Refuse an adapter trained here that belongs to other weights, or whose files changed."""
    pinned = adapter / BASE
    if not pinned.is_file():
        return
    try:
        told = json.loads(pinned.read_bytes())
        weights, files = told["weights_digest"], dict(told.get("files", {}))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ModelError(f"{pinned}: damaged; remove {adapter} and run again to train it") from None
    if weights != digest:
        raise ModelError(
            f"adapter {adapter} was trained on weights {weights[:12]}, but the base model has "
            f"{digest[:12]}; name the base model of that version"
        )
    found = file_digests(adapter)
    if changed := sorted(name for name, sha in files.items() if found.get(name) != sha):
        raise ModelError(
            f"{adapter / changed[0]}: not as it was written; remove {adapter} and run again to "
            "train it"
        )


def _check_tensors(adapter: Path, model: PeftModel) -> None:
    """Refuse an adapter some of whose tensors did not come from its file, or the other way.

    PEFT fills those that are missing with random numbers and only warns.
    """
    path = adapter / "adapter_model.safetensors"
    if not path.is_file():  # another format, whose names PEFT maps itself
        return
    with safe_open(path, framework="numpy") as file:
        there = set(file.keys())
    wanted = set(get_peft_model_state_dict(model, save_embedding_layers=False))
    unknown = there - wanted - set(model.state_dict())  # embeddings may be saved as they are
    check_tensors(adapter, {"missing_keys": wanted - there, "unexpected_keys": unknown})


def pin_base(adapter: Path, digest: str) -> None:
    """Record in an adapter's folder which weights it was trained on, and digests of its files."""
    facts = {"weights_digest": digest, "files": file_digests(adapter)}
    with replace_atomically(adapter / BASE) as partial:
        partial.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
