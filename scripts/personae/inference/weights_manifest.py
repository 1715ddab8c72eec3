"""The manifest beside a prepared model's weights: what it is and where it came from.

A prepared model is a folder with ``manifest.json`` and ``weights/``, the latter in the layout
that transformers loads (config, tokenizer, safetensors). Free of torch.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from personae.api.wire_encoding import Wire
from personae.inference.engine_errors import ModelError

Kind = Literal["chat", "embedder"]
Origin = Literal["package", "hub", "folder"]

MANIFEST = "manifest.json"
WEIGHTS = "weights"


class ModelSource(Wire):
    """Where a model comes from: one row of the model table."""

    name: str
    kind: Kind
    source: Origin
    id: str = Field(description="Name of the package, Hugging Face id, or path of the folder.")
    revision: str = Field(description="Package version or commit; may be empty for a folder.")
    license: str


class Manifest(ModelSource):
    """A model source, resolved: its shape and the digest of its weights."""

    model_type: str
    n_layers: int
    hidden_size: int
    weights_digest: str = Field(description="sha256 over the names and sha256 of weight files.")
    sizes: dict[str, int] = Field(description="Bytes of every file in weights/.")


def weights_digest(folder: Path) -> str:
    """Return the sha256 over names and contents of the safetensors files of a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.name} {content}\n".encode())
    return digest.hexdigest()


def file_sizes(folder: Path) -> dict[str, int]:
    """Return the size in bytes of every file of a folder, by relative name."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a prepared model and compare its files' sizes.

    Raises
    ------
    ModelError
        If the folder or a file is missing, or a file's size is not the prepared one.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise ModelError(f"{folder} is no prepared model: it has no {MANIFEST}")
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        raise ModelError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    found = file_sizes(folder / WEIGHTS)
    for name, size in manifest.sizes.items():
        if found.get(name) != size:
            raise ModelError(
                f"{folder / WEIGHTS / name}: {found.get(name, 'no')} bytes, prepared were {size}; "
                f"delete {folder} and run again"
            )
    return manifest
