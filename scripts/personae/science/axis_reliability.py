"""Split-half reliability of the Assistant Axis, from sums by fold of the questions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from personae.data.table_values import DEFAULT
from personae.science.activation_sums import read_sums
from personae.science.reliability import SummedContrast, split_half_reliability
from personae.science.vectors import FULLY

FloatArray = NDArray[np.float64]

_IN_AXIS: Final = (FULLY, DEFAULT)


def axis_reliability(sums: Mapping[str, str], *, splits: int, seed: int) -> FloatArray:
    """Mean cosine ``[layers]`` between the axes of two random halves of the questions.

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
    read = {subject: read_sums(path) for subject, path in sums.items()}
    used = {
        subject: [i for i, c in enumerate(cells) if c.split == "extraction" and c.kind in _IN_AXIS]
        for subject, (cells, _) in read.items()
    }
    n_roles = sum(bool(chosen) for subject, chosen in used.items() if subject != DEFAULT)
    for subject, (cells, found) in read.items():
        if not (chosen := used[subject]):
            continue
        side, share = (0, 1) if subject == DEFAULT else (1, n_roles)
        n = share * found.counts[chosen].sum()
        for i in chosen:
            key = (side, cells[i].fold)
            part = found.vectors[i] / n
            vectors[key] = vectors[key] + part if key in vectors else part
            weights[key] += found.counts[i] / n
    contrast = SummedContrast.of(vectors, weights)
    return split_half_reliability(contrast, splits=splits, seed=seed).cosine
