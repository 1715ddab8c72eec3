"""Read sparse autoencoders that others have trained: Gemma Scope, sae-lens and the like.

Files are ``.npz`` (Gemma Scope) or ``.safetensors`` (sae-lens, EleutherAI) with ``W_enc``
``[hidden, n]`` or ``encoder.weight`` ``[n, hidden]``, ``W_dec`` ``[n, hidden]``, biases, and for
JumpReLU ``threshold`` or ``log_threshold``. A ``cfg.json`` beside the file may name the
architecture and ``k``. No code in them is executed.
"""

from __future__ import annotations

import contextlib
import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from personae.base.errors import PersonaeError
from personae.science.sparse_features import Activation, SparseAutoencoder

Kind = Literal["auto", "relu", "jumprelu", "topk"]

_NAMES: Final = {
    "encoder": ("W_enc", "encoder.weight"),
    "decoder": ("W_dec", "decoder.weight"),
    "encoder_bias": ("b_enc", "encoder.bias"),
    "decoder_bias": ("b_dec", "bias", "decoder.bias"),
}


def read_autoencoder(
    path: Path, hidden: int, kind: Kind = "auto", k: int | None = None
) -> SparseAutoencoder:
    """Read an autoencoder of the residual stream.

    Parameters
    ----------
    path
        ``.npz`` or ``.safetensors`` file.
    hidden
        Width of the model's residual stream.
    kind
        Nonlinearity; ``auto`` is that of ``cfg.json``, else JumpReLU where the file has thresholds,
        top-k where ``k`` is known, and ReLU otherwise.
    k
        Features that ``topk`` keeps.

    Raises
    ------
    PersonaeError
        Naming file, tensor and remedy, if it is no autoencoder of that width.
    """
    tensors = _tensors(path)
    settings = _settings(path)
    encoder = _matrix(tensors, "encoder", path, (hidden, None))
    n = encoder.shape[1]
    threshold = _threshold(tensors)
    k = k or settings.get("k") or settings.get("activation_fn_kwargs", {}).get("k")
    chosen = _kind(kind, settings, threshold, k, path)
    centred = settings.get("apply_b_dec_to_input", chosen != "jumprelu")
    return SparseAutoencoder(
        encoder=encoder,
        decoder=_matrix(tensors, "decoder", path, (n, hidden)),
        encoder_bias=_vector(tensors, "encoder_bias", n, path),
        decoder_bias=_vector(tensors, "decoder_bias", hidden, path),
        activation=chosen,
        threshold=threshold if chosen == "jumprelu" else None,
        k=int(k) if chosen == "topk" and k else None,
        centred=bool(centred),
    )


def fetch_autoencoder(place: str) -> Path:
    """Download a file of the hub, named as ``repository@commit/file``, with its ``cfg.json``.

    Raises
    ------
    PersonaeError
        If it cannot be had.
    """
    # Imported here: slow, and only needed for files on the hub.
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    repository, _, rest = place.partition("@")
    commit, _, name = rest.partition("/")
    try:
        path = Path(hf_hub_download(repository, name, revision=commit))
        with contextlib.suppress(EntryNotFoundError):
            beside = str(Path(name).with_name("cfg.json"))
            hf_hub_download(repository, beside, revision=commit)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise PersonaeError(
            f"cannot fetch {place}, is there network and access? {reason}"
        ) from None
    return path


def read_feature_names(path: Path, shown: str) -> dict[int, str]:
    """Read names of features by index.

    JSON is a mapping of indices to names, or a list of names, or of records with ``index`` and
    ``description``; CSV has the columns ``index`` (or ``feature``) and ``name`` (or
    ``description``).

    Raises
    ------
    PersonaeError
        Naming the file, if it is none of these.
    """
    try:
        text = path.read_text("utf-8")
        if path.suffix == ".csv":
            return dict(_named(row) for row in csv.DictReader(text.splitlines()))
        content = json.loads(text)
        if isinstance(content, dict):
            return {int(index): str(name) for index, name in content.items()}
        return dict(
            _named(item) if isinstance(item, dict) else (index, str(item))
            for index, item in enumerate(content)
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PersonaeError(
            f"{shown}: no names of features ({type(error).__name__}: {error}); give a CSV with "
            "index and name, or a JSON mapping"
        ) from None


def _named(record: Mapping[str, Any]) -> tuple[int, str]:
    index = record.get("index", record.get("feature"))
    name = record.get("name", record.get("description"))
    if index is None or name is None:
        raise KeyError("index or name")
    return int(index), str(name)


def _tensors(path: Path) -> Mapping[str, Any]:
    if path.suffix == ".npz":
        try:
            with np.load(path, allow_pickle=False) as file:
                return dict(file)
        except (OSError, ValueError) as error:
            raise PersonaeError(f"{path}: cannot be read ({error}); fetch it again") from None
    if path.suffix != ".safetensors":
        raise PersonaeError(f"{path}: give a .npz or .safetensors file")
    # Imported here, since only the node that reads these files needs torch; numpy has no bfloat16.
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise PersonaeError(f"{path}: cannot be read ({error}); fetch it again") from None


def _settings(path: Path) -> dict[str, Any]:
    beside = path.with_name("cfg.json")
    if not beside.is_file():
        return {}
    content = json.loads(beside.read_bytes())
    return content if isinstance(content, dict) else {}


def _array(tensors: Mapping[str, Any], name: str) -> NDArray[np.float32] | None:
    for key in _NAMES[name]:
        if key in tensors:
            value = tensors[key]
            wide = value.float().numpy() if hasattr(value, "float") else value
            return np.asarray(wide, dtype=np.float32)
    return None


def _matrix(
    tensors: Mapping[str, Any], name: str, path: Path, shape: tuple[int, int | None]
) -> NDArray[np.float32]:
    """Return a matrix with these sizes, turned if it is stored the other way round."""
    found = _array(tensors, name)
    if found is None:
        keys = ", ".join(sorted(tensors)[:6])
        named = " or ".join(_NAMES[name])
        raise PersonaeError(f"{path}: no {named} among {keys}; name an autoencoder's file")
    rows, columns = shape
    for matrix in (found, found.T):
        if matrix.ndim == 2 and matrix.shape[0] == rows and columns in (None, matrix.shape[1]):
            return np.ascontiguousarray(matrix)
    raise PersonaeError(
        f"{path}: {_NAMES[name][0]} has shape {list(found.shape)}, which does not fit a residual "
        f"stream of {shape[1] or shape[0]}; name an autoencoder of this model"
    )


def _vector(tensors: Mapping[str, Any], name: str, size: int, path: Path) -> NDArray[np.float32]:
    found = _array(tensors, name)
    if found is None:
        return np.zeros(size, dtype=np.float32)
    if found.shape != (size,):
        raise PersonaeError(
            f"{path}: {_NAMES[name][0]} has shape {list(found.shape)}, not [{size}]"
        )
    return found


def _threshold(tensors: Mapping[str, Any]) -> NDArray[np.float32] | None:
    for key, turn in (("threshold", np.asarray), ("log_threshold", np.exp)):
        if key in tensors:
            value = tensors[key]
            wide = value.float().numpy() if hasattr(value, "float") else value
            return np.asarray(turn(wide), dtype=np.float32)
    return None


def _kind(
    asked: Kind, settings: Mapping[str, Any], threshold: object, k: object, path: Path
) -> Activation:
    named = str(settings.get("architecture", settings.get("activation_fn", "")))
    guess: Activation = "jumprelu" if threshold is not None else "topk" if k else "relu"
    if asked == "auto":
        known: dict[str, Activation] = {"jumprelu": "jumprelu", "topk": "topk", "standard": "relu"}
        chosen = known.get(named, guess)
    else:
        chosen = asked
    if chosen == "jumprelu" and threshold is None:
        raise PersonaeError(f"{path}: JumpReLU, but no threshold in the file; give another kind")
    if chosen == "topk" and not k:
        raise PersonaeError(f"{path}: top-k, but k is unknown; give k")
    return chosen
