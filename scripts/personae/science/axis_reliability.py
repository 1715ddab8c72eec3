"""Split-half reliability of the Assistant Axis, from sums by fold of the questions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from personae.data import tables
from personae.data.table_values import DEFAULT
from personae.science.activation_sums import read_sums
from personae.science.reliability import Reliability, SummedContrast, split_half_reliability
from personae.science.vectors import FULLY

FloatArray = NDArray[np.float64]

_OF_AXIS: Final = [("split", "==", "extraction"), ("kind", "in", [FULLY, DEFAULT])]


def axis_reliability(sums: Mapping[str, str], *, splits: int, seed: int) -> Reliability:
    """Mean cosine between the axes of two random halves of the questions.

    As the axis itself it is made of rollouts that fully play their role, and roles weigh the same.

    Parameters
    ----------
    sums
        Subject, the default among them, to its table of ``activation_sums``.
    splits, seed
        Number of random splits and their seed.
    """
    vectors: dict[tuple[int, int], FloatArray] = {}
    weights: dict[tuple[int, int], float] = defaultdict(float)
    numbers = {subject: _rollouts(path) for subject, path in sums.items()}
    n_roles = sum(bool(n) for subject, n in numbers.items() if subject != DEFAULT)
    # One file at a time: the sums of all roles at all layers are 20 GB at the paper's size.
    for subject, path in sums.items():
        if not numbers[subject]:
            continue
        side, share = (0, 1) if subject == DEFAULT else (1, n_roles)
        cells, found = read_sums(path, _OF_AXIS)
        for i, cell in enumerate(cells):
            key, n = (side, cell.fold), share * numbers[subject]
            part = found.vectors[i] / n
            vectors[key] = vectors[key] + part if key in vectors else part
            weights[key] += found.counts[i] / n
    contrast = SummedContrast.of(vectors, weights)
    return split_half_reliability(contrast, splits=splits, seed=seed)


def _rollouts(path: str) -> int:
    """Return how many of a subject's rollouts the axis is made of."""
    table = tables.read(path, "activation_sums", ["layer", "n"], _OF_AXIS)
    layers, numbers = table["layer"].to_numpy(), table["n"].to_numpy()
    return int(numbers[layers == layers[:1]].sum())
