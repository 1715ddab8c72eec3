"""Split-half reliability of the Assistant Axis, from sums by fold of the questions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from personae.data.table_values import DEFAULT
from personae.science.activation_sums import read_sums
from personae.science.reliability import SummedContrast, split_half_reliability

FloatArray = NDArray[np.float64]


def axis_reliability(sums: Mapping[str, str], *, splits: int, seed: int) -> FloatArray:
    """Mean cosine ``[layers]`` between the axes of two random halves of the questions.

    The axis here is of all rollouts on extraction questions, whatever their scores; roles weigh the
    same.

    Parameters
    ----------
    sums
        Subject, the default among them, to its table of ``activation_sums``.
    splits, seed
        Number of random splits and their seed.
    """
    vectors: dict[tuple[int, int], FloatArray] = {}
    weights: dict[tuple[int, int], float] = defaultdict(float)
    n_roles = len(set(sums) - {DEFAULT})
    for subject, path in sums.items():
        cells, found = read_sums(path)
        chosen = [i for i, cell in enumerate(cells) if cell.split == "extraction"]
        side, share = (0, 1) if subject == DEFAULT else (1, n_roles)
        n = share * found.counts[chosen].sum()
        for i in chosen:
            key = (side, cells[i].fold)
            part = found.vectors[i] / n
            vectors[key] = vectors[key] + part if key in vectors else part
            weights[key] += found.counts[i] / n
    contrast = SummedContrast.of(vectors, weights)
    return split_half_reliability(contrast, splits=splits, seed=seed).cosine
