"""A folder for a model hub: ``vectors.safetensors`` with a model card that says what they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from personae.base.atomic_files import replace_atomically
from personae.data import tables
from personae.personas.published.write_vectors import POINTS, write_vectors

VECTORS: Final = "vectors.safetensors"
CARD: Final = "README.md"
_STATED: Final = ("model", "revision", "weights_digest", "dtype", "engine", "seed", "code_digest",
                  "config_digest", "time")  # fmt: skip


def write_hub_folder(
    table: Path, schema: str, folder: Path, variant: str = "response_mean", name: str | None = None
) -> None:
    """Write the vectors of a table with a card of their conventions and provenance.

    Raises
    ------
    PersonaeError
        As `write_vectors`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_vectors(table, schema, folder / VECTORS, variant, name)
    with replace_atomically(folder / CARD) as partial:
        partial.write_text(_card(schema, tables.provenance(table)), "utf-8")


def _card(schema: str, facts: Mapping[str, str]) -> str:
    kind = schema.replace("_", " ")
    base = f"base_model: {facts['model']}\n" if facts.get("model") else ""
    stated = "\n".join(f"| {key} | `{facts[key]}` |" for key in _STATED if facts.get(key))
    return f"""---
{base}library_name: safetensors
tags: [activation-steering, persona-vectors, assistant-axis]
---
# {kind.capitalize()}

Each tensor of `{VECTORS}` is one family of vectors by name, float32 `[n_layers, hidden]`.
Row `l` is layer `l`, counted from 0: the residual stream after decoder block `l`, not normalised.
Sign: {POINTS[schema]}.

```python
from safetensors.numpy import load_file
vectors = load_file("{VECTORS}")
vector = vectors[next(iter(vectors))][14]  # layer 14
```

| provenance | |
|---|---|
{stated}
"""
