"""Base class of records on the wire, and the encoding of vectors as base64 of float32."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

_FLOAT = np.dtype("<f4")


def pack_vector(vector: NDArray[np.floating]) -> str:
    """Encode a 1-d array as base64 of little-endian float32."""
    array = np.ascontiguousarray(vector, dtype=_FLOAT)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"a vector has one non-empty dimension, not shape {array.shape}")
    return base64.b64encode(array.tobytes()).decode("ascii")


def unpack_vector(text: str) -> NDArray[np.float32]:
    """Decode `pack_vector`'s text into a float32 array, shape ``[hidden]``."""
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"a vector is not valid base64: {error}") from None
    if not data or len(data) % _FLOAT.itemsize:
        raise ValueError(f"a vector of {len(data)} bytes is not a list of float32 numbers")
    return np.frombuffer(data, dtype=_FLOAT).astype(np.float32)


def _finite(text: str) -> str:
    if not np.isfinite(unpack_vector(text)).all():
        raise ValueError("a vector holds numbers that are not finite")
    return text


def _packed(vector: object) -> object:
    """Return a list of numbers as `pack_vector` writes it, and anything else as it is."""
    if not isinstance(vector, list):
        return vector
    if not all(isinstance(number, int | float) for number in vector):
        raise ValueError("a vector is base64 of float32, or a list of numbers")
    try:
        with np.errstate(over="ignore"):
            return pack_vector(np.array(vector, dtype=np.float64))
    except OverflowError:
        raise ValueError("a vector holds numbers that are not finite") from None


Vector = Annotated[str, BeforeValidator(_packed), AfterValidator(_finite)]
"""Base64 of little-endian float32; a list of numbers is understood as well."""


class Wire(BaseModel):
    """Base of everything on the wire: immutable, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
