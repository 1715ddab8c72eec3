"""A PEFT adapter and its base model become one model, once, when the model is prepared."""

from __future__ import annotations

from pathlib import Path

from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from personae.inference.engine_errors import ModelError


def merge_adapter(adapter: Path, base: Path, out: Path) -> None:
    """Add an adapter's weights to those of its base model and save the sum to the folder ``out``.

    The number format stays the base model's. The tokenizer is the adapter's if it brings one.

    Raises
    ------
    ModelError
        When the adapter does not fit the base model.
    """
    model = AutoModelForCausalLM.from_pretrained(base, dtype="auto", local_files_only=True)
    try:
        merged = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload(safe_merge=True)
    except (ValueError, RuntimeError, KeyError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"adapter {adapter} does not fit {base}: {reason}; correct it") from None
    merged.save_pretrained(out)
    has_own = (adapter / "tokenizer_config.json").is_file()
    AutoTokenizer.from_pretrained(adapter if has_own else base).save_pretrained(out)
