"""Where a table comes from: digest of the configuration, code, model, versions, seed and time."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any, Final

_PACKAGES: Final = (
    "accelerate", "numpy", "openai", "pandas", "pyarrow", "pydantic", "safetensors",
    "scikit-learn", "scipy", "snakemake", "torch", "transformers",
)  # fmt: skip
_MODEL_FACTS: Final = ("model", "revision", "weights_digest", "dtype", "device")


def collect(
    *,
    config: Mapping[str, Any],
    code: str,
    rule: str,
    wildcards: Mapping[str, str],
    engine: Mapping[str, Any] | None = None,
    inputs: Iterable[str | PathLike[str]] = (),
) -> dict[str, str]:
    """Return the facts that the tables of one node keep in their metadata.

    Parameters
    ----------
    config
        The study's configuration.
    code
        Digest of the code that the node uses, see `personae.workflow.code_digest`.
    rule, wildcards
        The node.
    engine
        What the model server says about itself, for a node that uses it.
    inputs
        Tables that a node without a model reads: it takes the facts about the model from them.
    """
    facts = {
        "rule": rule,
        "wildcards": _canonical(dict(wildcards)),
        "study": str(config.get("study", "")),
        "seed": str(config.get("seed", 0)),
        "config_digest": config_digest(config),
        "code_digest": code,
        "versions": _canonical(_versions()),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if engine is None:
        return facts | _inherited(inputs)
    return facts | {name: str(engine[name]) for name in _MODEL_FACTS}


def config_digest(config: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a configuration, the same for every order of its keys."""
    return hashlib.sha256(_canonical(config).encode()).hexdigest()


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)


@cache
def _versions() -> dict[str, str]:
    installed = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            installed[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            installed[package] = "not installed"
    return installed


def _inherited(inputs: Iterable[str | PathLike[str]]) -> dict[str, str]:
    """Return the models' facts in the metadata of ``inputs``; where they differ, all of them."""
    from personae.data import (
        tables,  # slow to import, and every Snakemake process imports this module
    )

    found: dict[str, set[str]] = {}
    for path in inputs:
        if Path(path).suffix == ".parquet":
            for name, value in tables.provenance(path).items():
                if name in _MODEL_FACTS:
                    found.setdefault(name, set()).add(value)
    return {name: "; ".join(sorted(values)) for name, values in found.items()}
