"""The provenance of a table: node, inputs, code, model, versions, seed, time."""

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

from personae.base.errors import PersonaeError
from personae.data.table_checksums import content_checksum
from personae.endpoints.keys import scrub

_PACKAGES: Final = (
    "accelerate", "numpy", "openai", "pandas", "pyarrow", "pydantic", "safetensors",
    "scikit-learn", "scipy", "snakemake", "torch", "transformers",
)  # fmt: skip
_MOST_CHARACTERS: Final = 4_000
_MODEL_FACTS: Final = ("model", "revision", "weights_digest", "dtype", "device", "engine")


def collect(
    *,
    config: Mapping[str, Any],
    code: str,
    rule: str,
    wildcards: Mapping[str, str],
    params: Mapping[str, Any] | None = None,
    engine: Mapping[str, Any] | None = None,
    inputs: Iterable[str] = (),
    outputs: Iterable[str] = (),
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
    params
        The values of the configuration and the library that the node depends on. One that is
        longer than 4,000 characters is recorded as its SHA-256 and length.
    engine
        What the model server says about itself, for a node that uses it.
    inputs
        Files that the node reads. The content of each table is recorded; a node without a model
        takes the facts about the model from them.
    outputs
        Files that the node writes: what its tables are of.

    Raises
    ------
    PersonaeError
        If the tables, or a table and this node, used the same weights with different engines.
    """
    tables_read = [path for path in inputs if is_table(path)]
    found = _facts_of(tables_read)
    _refuse_mixed_engines([*found, engine or {}])
    facts = {
        "rule": rule,
        "wildcards": _canonical(dict(wildcards)),
        "inputs": _canonical({str(path): content_checksum(Path(path)) for path in tables_read}),
        "outputs": _canonical(list(outputs)),
        "study": str(config.get("study", "")),
        "seed": str(config.get("seed", 0)),
        "config_digest": config_digest(config),
        "params": scrub(_canonical({key: _short(value) for key, value in (params or {}).items()})),
        "code_digest": code,
        "versions": _canonical(_versions()),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if engine is None:
        return facts | _inherited(found)
    return facts | {name: str(engine[name]) for name in _MODEL_FACTS}


def config_digest(config: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a configuration, the same for every order of its keys."""
    return hashlib.sha256(_canonical(config).encode()).hexdigest()


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)


def _short(value: Any) -> Any:
    """Return a value, or its digest and length where it is long, as a set of questions may be."""
    text = _canonical(value)
    if len(text) <= _MOST_CHARACTERS:
        return value
    return {"sha256": hashlib.sha256(text.encode()).hexdigest(), "characters": len(text)}


@cache
def _versions() -> dict[str, str]:
    installed = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            installed[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            installed[package] = "not installed"
    return installed


def is_table(path: str | PathLike[str]) -> bool:
    """Return whether a file is one of the project's tables, by its name."""
    return Path(path).suffix == ".parquet"


def _facts_of(tables_read: Iterable[str]) -> list[Mapping[str, str]]:
    """Return the metadata of tables."""
    from personae.data import (
        tables,  # slow to import, and every Snakemake process imports this module
    )

    return [tables.provenance(path) for path in tables_read]


def _inherited(found: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return the models' facts of tables; where they differ, all of them."""
    values: dict[str, set[str]] = {}
    for facts in found:
        for name in _MODEL_FACTS:
            if name in facts:
                values.setdefault(name, set()).add(facts[name])
    return {name: "; ".join(sorted(value)) for name, value in values.items()}


def _refuse_mixed_engines(found: Iterable[Mapping[str, Any]]) -> None:
    """Refuse to compare what different engines made of the same weights.

    They agree up to rounding, but rounding turns drawn tokens, and a comparison would take that for
    an effect. Facts that join several models are skipped: their tables were checked one by one.
    """
    engines: dict[str, set[str]] = {}
    for facts in found:
        weights, engine = str(facts.get("weights_digest", "")), str(facts.get("engine", ""))
        if weights and engine and ";" not in weights + engine:
            engines.setdefault(weights, set()).add(engine.partition(" ")[0])
    for weights, kinds in engines.items():
        if len(kinds) > 1:
            raise PersonaeError(
                f"weights {weights[:12]}: {' and '.join(sorted(kinds))} made the tables of one "
                "comparison; set engine.kind to one of them, and rerun what the other made"
            )
