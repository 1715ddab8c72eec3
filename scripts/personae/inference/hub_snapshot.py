"""Fetch a model from the Hugging Face hub, or find it in the local cache: config first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from personae.inference.engine_errors import ModelError
from personae.inference.weights_manifest import ModelSource

BESIDE_WEIGHTS: Final = ("*.json", "*.jinja", "*.model", "*.txt")
"""Files next to the weights that transformers reads."""
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")


def fetch_config(source: ModelSource) -> Path | None:
    """Return the ``config.json`` of a pinned revision; None for an adapter, which has none.

    Raises
    ------
    ModelError
        If the revision is no commit, or cannot be had.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import RemoteEntryNotFoundError

    if not _COMMIT.fullmatch(source.revision):
        raise ModelError(f"{source.id}: revision {source.revision!r} is not a full commit hash")
    with _explained(source):
        try:
            return Path(hf_hub_download(source.id, "config.json", revision=source.revision))
        except RemoteEntryNotFoundError:
            return None


def fetch_snapshot(source: ModelSource) -> Path:
    """Return the folder of a pinned revision: what transformers loads of it.

    Raises
    ------
    ModelError
        If it cannot be had.
    """
    from huggingface_hub import snapshot_download

    with _explained(source):
        path = snapshot_download(
            source.id,
            revision=source.revision,
            allow_patterns=["*.safetensors", *BESIDE_WEIGHTS],
            # The same weights once more, in their makers' layout: original/, consolidated*.
            ignore_patterns=["*/*", "consolidated*"],
        )
        return Path(path)


@contextmanager
def _explained(source: ModelSource) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        # Hub errors derive from OSError, a malformed id from ValueError; both may be many lines.
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"cannot fetch {source.id}@{source.revision}, is there network and access? {reason}"
        ) from error
