"""The manifest of a prepared model: its weights, shape and source.

A prepared model is a folder with ``manifest.json`` and ``weights/``, the latter in the layout
that transformers loads (config, tokenizer, safetensors). Free of torch.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from personae.api.wire_encoding import Wire
from personae.base.atomic_files import replace_atomically
from personae.base.errors import PersonaeError
from personae.inference.engine_errors import ModelError

Kind = Literal["chat", "embedder"]
Origin = Literal["package", "hub", "folder", "random"]

MANIFEST = "manifest.json"
WEIGHTS = "weights"
VERIFIED = ".verified.json"
"""The version of each file that had the manifest's digest: inode, size and change time."""
_TIMESTAMP = ".snakemake_timestamp"
"""Snakemake's own file in a folder that a rule writes."""


class ModelSource(Wire):
    """The source of a model: one row of the model table."""

    name: str
    kind: Kind
    source: Origin
    id: str = Field(description="Name of the package, Hugging Face id, or path of the folder.")
    revision: str = Field(description="Package version or commit; may be empty for a folder.")
    license: str
    chat_template: str = Field(default="", description="Jinja file in place of the model's own.")


class Manifest(ModelSource):
    """A model source, resolved: its shape and the digest of its weights."""

    model_type: str
    n_layers: int
    hidden_size: int
    weights_digest: str = Field(description="sha256 over the names and sha256 of weight files.")
    sizes: dict[str, int] = Field(description="Bytes of every file in weights/.")
    digests: dict[str, str] = Field(description="sha256 of every file in weights/.")


def weights_digest(digests: dict[str, str]) -> str:
    """Return the sha256 over names and digests of the safetensors files among ``digests``."""
    total = hashlib.sha256()
    for name, digest in sorted(digests.items()):
        if name.endswith(".safetensors"):
            total.update(f"{name} {digest}\n".encode())
    return total.hexdigest()


def file_digests(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file of a folder, by relative name."""
    return {name: _sha256(folder / name) for name in file_sizes(folder)}


def file_sizes(folder: Path) -> dict[str, int]:
    """Return the size in bytes of every file of a folder, by relative name, but for Snakemake's."""
    paths = (path for path in sorted(folder.rglob("*")) if path.name != _TIMESTAMP)
    files = (path for path in paths if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a prepared model and compare its files' sizes.

    Raises
    ------
    ModelError
        If the folder or a file is missing or unknown, or a file's size is not the prepared one.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise ModelError(f"{folder} is no prepared model: it has no {MANIFEST}")
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        raise ModelError(
            f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}; {_remedy(folder)}"
        ) from None
    found = file_sizes(folder / WEIGHTS)
    # Snakemake puts a hidden file into a folder that a rule makes.
    if unknown := sorted(n for n in set(found) - set(manifest.sizes) if not n.startswith(".")):
        raise ModelError(
            f"{folder / WEIGHTS / unknown[0]}: was not there when the model was prepared; "
            f"{_remedy(folder)}"
        )
    for name, size in manifest.sizes.items():
        if found.get(name) != size:
            raise ModelError(
                f"{folder / WEIGHTS / name}: {found.get(name, 'no')} bytes, prepared were {size}; "
                f"{_remedy(folder)}"
            )
    return manifest


def verify_contents(folder: Path, manifest: Manifest) -> None:
    """Compare the sha256 of a prepared model's files with the manifest, once per file version.

    A file that was verified before and has the same inode, size and time of change is not read
    again: loading a large model would take twice as long.

    Raises
    ------
    ModelError
        Naming the first file whose content is not the prepared one.
    """
    before, now = _read_versions(folder), _versions(folder, manifest)
    changed = [name for name, version in now.items() if before.get(name) != version]
    for name in changed:
        path = folder / WEIGHTS / name
        if (found := _sha256(path)) != manifest.digests.get(name):
            raise ModelError(
                f"{path}: its content is not what was prepared (sha256 {found[:12]}, prepared was "
                f"{manifest.digests.get(name, 'none')[:12]}); if {path.resolve()} is damaged, "
                f"fetch it again, then {_remedy(folder)}"
            )
    if changed:
        record_versions(folder, manifest)


def record_versions(folder: Path, manifest: Manifest) -> None:
    """Record that the files as they are now have the manifest's digests."""
    # A folder that may not be written has its files verified at every load.
    with (
        contextlib.suppress(OSError, PersonaeError),
        replace_atomically(folder / VERIFIED) as partial,
    ):
        partial.write_text(json.dumps(_versions(folder, manifest)), encoding="utf-8")


def _versions(folder: Path, manifest: Manifest) -> dict[str, list[int]]:
    versions = {}
    for name in manifest.sizes:
        stat = (folder / WEIGHTS / name).stat()
        versions[name] = [stat.st_ino, stat.st_size, stat.st_mtime_ns]
    return versions


def _read_versions(folder: Path) -> dict[str, list[int]]:
    try:
        found: dict[str, list[int]] = json.loads((folder / VERIFIED).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _remedy(folder: Path) -> str:
    return f"delete {folder} and run the workflow again"
