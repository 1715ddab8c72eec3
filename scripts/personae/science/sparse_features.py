"""Features of a sparse autoencoder that a trait vector is made of (PV, interpretation).

An autoencoder reads the residual stream after one block. Two ways to name its features: those whose
decoder direction is closest to the vector, by cosine; and those that are more active in responses
under positive prompts than under negative ones.

# ASSUME: features are computed of the mean activation of a response, of which the vectors are made
# too; autoencoders are trained on single tokens, so that rare features are weaker here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from personae.science.token_reading import shuffled

FloatArray = NDArray[np.float32]
Activation = Literal["relu", "jumprelu", "topk"]

SHUFFLES: Final = 20
COSINE: Final = "cosine"
DIFFERENCE: Final = "activation"


@dataclass(frozen=True)
class SparseAutoencoder:
    """Weights of a sparse autoencoder with ``n`` features.

    Attributes
    ----------
    encoder, decoder
        ``[hidden, n]`` and ``[n, hidden]``.
    encoder_bias, decoder_bias
        ``[n]`` and ``[hidden]``.
    activation
        Nonlinearity: ``jumprelu`` keeps what exceeds ``threshold``, ``topk`` the ``k`` largest.
    threshold
        ``[n]``, of ``jumprelu``.
    k
        Of ``topk``.
    centred
        Whether the decoder's bias is taken off the input first.
    """

    encoder: FloatArray
    decoder: FloatArray
    encoder_bias: FloatArray
    decoder_bias: FloatArray
    activation: Activation
    threshold: FloatArray | None = None
    k: int | None = None
    centred: bool = False

    def encode(self, stream: NDArray[np.floating]) -> FloatArray:
        """Return the activations of all features ``[m, n]`` for streams ``[m, hidden]``."""
        given = np.asarray(stream, dtype=np.float32)
        raw = (given - self.decoder_bias if self.centred else given) @ self.encoder
        raw = np.maximum(raw + self.encoder_bias, 0.0)
        if self.activation == "jumprelu":
            assert self.threshold is not None
            return np.asarray(np.where(raw > self.threshold, raw, 0.0), dtype=np.float32)
        if self.activation == "topk":
            assert self.k is not None
            least = -np.partition(-raw, self.k - 1, axis=1)[:, self.k - 1 : self.k]
            return np.asarray(np.where(raw >= least, raw, 0.0), dtype=np.float32)
        return np.asarray(raw, dtype=np.float32)

    def decode(self, features: FloatArray) -> FloatArray:
        """Return the streams ``[m, hidden]`` that features ``[m, n]`` stand for."""
        return np.asarray(features @ self.decoder + self.decoder_bias, dtype=np.float32)


def feature_rows(
    autoencoder: SparseAutoencoder,
    vector: FloatArray,
    positive: FloatArray,
    negative: FloatArray,
    n: int,
    seed: int,
    names: Mapping[int, str],
) -> list[dict[str, Any]]:
    """Return the features closest to a vector, and those that respond most to its prompts.

    Parameters
    ----------
    vector
        ``[hidden]`` trait vector at the autoencoder's layer, toward the trait.
    positive, negative
        ``[m, hidden]`` mean activations of responses under positive and negative prompts.
    n
        Number of features by either way and side.
    names
        Names of features by index; one without has an empty name.

    Returns
    -------
    list of dict
        Columns of ``vector_features`` but those that say which vector it is. ``null_p95`` is the
        95th percentile of the largest value of any feature, for vectors with shuffled coordinates
        (cosine) or responses with shuffled sides (activation).
    """
    found = {
        COSINE: (
            _cosines(autoencoder, vector[np.newaxis])[0],
            _cosines(autoencoder, shuffled(vector, seed)),
        ),
        DIFFERENCE: _differences(autoencoder, positive, negative, seed),
    }
    rows = []
    for by, (values, null) in found.items():
        for side, sign in (("toward", 1.0), ("away", -1.0)):
            bound = float(np.quantile((sign * null).max(axis=1), 0.95)) if len(null) else None
            order = np.argsort(-sign * values, kind="stable")[:n]
            rows += [
                {
                    "by": by,
                    "side": side,
                    "rank": rank,
                    "feature": int(feature),
                    "name": names.get(int(feature), ""),
                    "value": float(sign * values[feature]),
                    "null_p95": bound,
                }
                for rank, feature in enumerate(order, 1)
            ]
    return rows


def _cosines(autoencoder: SparseAutoencoder, vectors: FloatArray) -> FloatArray:
    """Return the cosine of each vector ``[m, hidden]`` with every decoder direction, ``[m, n]``."""
    lengths = np.linalg.norm(autoencoder.decoder, axis=1)
    units = autoencoder.decoder / np.where(lengths > 0, lengths, 1.0)[:, np.newaxis]
    scaled = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(scaled @ units.T, dtype=np.float32)


def _differences(
    autoencoder: SparseAutoencoder, positive: FloatArray, negative: FloatArray, seed: int
) -> tuple[FloatArray, FloatArray]:
    """Return the difference of mean activations ``[n]``, and those with shuffled sides."""
    features = autoencoder.encode(np.concatenate([positive, negative]))
    size = len(positive)

    def difference(order: NDArray[np.int64]) -> FloatArray:
        one, other = features[order[:size]], features[order[size:]]
        return np.asarray(one.mean(axis=0) - other.mean(axis=0), dtype=np.float32)

    rng, everything = np.random.default_rng(seed), np.arange(len(features))
    null = [difference(rng.permutation(everything)) for _ in range(SHUFFLES)]
    return difference(everything), np.stack(null)
