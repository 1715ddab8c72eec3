"""Rollouts of one layer summed by question, kept in a temporary file.

At the paper's size (550 role vectors, 240 questions, 8,192 dimensions) the sums are 4.3 GB, and a
bootstrap over questions needs all of them several times. They are written once and read in blocks
of dimensions: inner products add up over blocks.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from personae.base.atomic_files import explained

FloatArray = NDArray[np.float64]

_WIDTH: Final = 256
"""Dimensions of a block: 135 MB of float32 at the paper's size."""


class SumsBlock(NamedTuple):
    """Sums ``[subjects, questions, width]``, float32, at some of the dimensions."""

    dimensions: slice
    sums: NDArray[np.float32]


class QuestionSums:
    """Sums of subjects' rollouts by question, at one layer.

    The file has no name, so that it is gone when the process ends, however that ends. Close it, or
    use this as a context manager.

    Parameters
    ----------
    folder
        Where the file is.
    n_questions, n_subjects, hidden
        Size of the sums.

    Attributes
    ----------
    counts
        ``[questions, subjects]`` float64, rollouts in each sum.
    """

    def __init__(self, folder: Path, *, n_questions: int, n_subjects: int, hidden: int) -> None:
        self.counts = np.zeros((n_questions, n_subjects))
        self._hidden, self._folder = hidden, folder
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            # It stays open until `close`.
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
            self._file.truncate(4 * n_questions * n_subjects * hidden)

    def put(self, subject: int, sums: FloatArray, counts: FloatArray) -> None:
        """Set the sums ``[questions, hidden]`` of a subject; without it they are zero."""
        self.counts[:, subject] = counts
        with explained(self._folder):
            for start, width in self._blocks():
                self._seek(start, subject * width)
                self._file.write(sums[:, start : start + width].astype(np.float32).tobytes())

    def blocks(self) -> Iterator[SumsBlock]:
        """Yield the sums of all subjects, block by block of the dimensions."""
        n_questions, n_subjects = self.counts.shape
        for start, width in self._blocks():
            self._seek(start, 0)
            shape = (n_subjects, n_questions, width)
            data = np.fromfile(self._file, np.float32, n_subjects * n_questions * width)
            yield SumsBlock(slice(start, start + width), data.reshape(shape))

    def _blocks(self) -> Iterator[tuple[int, int]]:
        for start in range(0, self._hidden, _WIDTH):
            yield start, min(_WIDTH, self._hidden - start)

    def _seek(self, start: int, row: int) -> None:
        n_questions, n_subjects = self.counts.shape
        self._file.seek(4 * n_questions * (start * n_subjects + row))

    def close(self) -> None:
        """Give the file up."""
        self._file.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self.close()


def sums_by_question(
    activations: FloatArray, questions: ArrayLike, all_questions: ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Sum a subject's rollouts ``[n, hidden]`` by question, in float64.

    Parameters
    ----------
    activations, questions
        Rollouts that enter the subject's vector, and their question labels ``[n]``.
    all_questions
        ``[questions]`` distinct labels shared by all subjects, in the order of the result.

    Returns
    -------
    tuple
        Sums ``[questions, hidden]`` and numbers of rollouts ``[questions]``.

    Raises
    ------
    ValueError
        For a question that is not among ``all_questions``.
    """
    member = np.asarray(questions)[np.newaxis] == np.asarray(all_questions)[:, np.newaxis]
    if not member.any(axis=0).all():
        unknown = np.asarray(questions)[~member.any(axis=0)].tolist()[0]
        raise ValueError(f"question {unknown!r} is not among the {len(member)} questions given")
    weights = member.astype(np.float64)
    return weights @ activations, weights.sum(axis=1)
