"""Log-probabilities of continuations from hidden states that come in any pieces and order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from personae.inference.vllm_engine import token_scores
from personae.inference.vllm_engine.token_scores import ScoreTable, TokenScores

CPU = torch.device("cpu")
N_PROMPT = np.array([3, 1, 5], dtype=np.int32)
CONTINUATIONS = [[4, 0], [2, 2, 1], [3]]
LENGTHS = [5, 4, 6]
_GENERATOR = torch.Generator().manual_seed(0)
HIDDEN = [torch.randn(length, 8, generator=_GENERATOR) for length in LENGTHS]
HEAD = torch.randn(8, 6, generator=_GENERATOR)


def _expected(row: int) -> Tensor:
    """Return log-probabilities of the row's tokens and of the likeliest, float64 [2, tokens]."""
    first = int(N_PROMPT[row]) - 1
    ahead = (HIDDEN[row].double() @ HEAD.double())[first:-1].log_softmax(-1)
    chosen = ahead[torch.arange(len(ahead)), torch.tensor(CONTINUATIONS[row])]
    return torch.stack((chosen, ahead.amax(1)))


def _run(scores: TokenScores, pieces: list[list[tuple[int, int, int]]]) -> None:
    """Feed steps of (row, start, end), padded by a token that belongs to no row."""
    for step in pieces:
        row = np.concatenate([np.full(end - start, r, np.int32) for r, start, end in step])
        position = np.concatenate([np.arange(start, end, dtype=np.int32) for _, start, end in step])
        scores.at(row, position)
        hidden = torch.cat([HIDDEN[r][start:end] for r, start, end in step])
        scores.add(torch.cat([hidden, torch.full((1, 8), torch.nan)]), lambda h: h @ HEAD)


@pytest.mark.parametrize("chunk", [1, 2, 256])
@pytest.mark.parametrize(
    "pieces",
    [
        [[(0, 0, 5), (1, 0, 4), (2, 0, 6)]],
        [[(2, 0, 6), (0, 0, 2)], [(1, 0, 4), (0, 2, 5)]],
        [[(i, p, p + 1)] for i in (1, 2, 0) for p in range(LENGTHS[i])],
        [[(0, 0, 4), (1, 0, 2)], [(0, 0, 5), (2, 0, 6), (1, 2, 4)]],
    ],
    ids=["whole", "in pieces", "token by token", "computed again"],
)
def test_scores_are_float64s_whatever_the_pieces(
    pieces: list[list[tuple[int, int, int]]], chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_scores, "_CHUNK", chunk)
    scores = TokenScores(ScoreTable.of(CONTINUATIONS), N_PROMPT, CPU)
    _run(scores, pieces)
    for row, found in zip((2, 0, 1), scores.take([2, 0, 1]), strict=True):
        np.testing.assert_allclose(found, _expected(row).numpy(), atol=1e-5)


def test_what_was_skipped_is_not_a_number() -> None:
    scores = TokenScores(ScoreTable.of(CONTINUATIONS), N_PROMPT, CPU)
    _run(scores, [[(0, 3, 5), (1, 0, 4)]])
    first, second, third = scores.take([0, 1, 2])
    assert np.isnan(first).tolist() == [[True, False]] * 2
    assert not np.isnan(second).any()
    assert np.isnan(third).all()


def test_a_rank_without_logits_scores_nothing() -> None:
    scores = TokenScores(ScoreTable.of(CONTINUATIONS), N_PROMPT, CPU)
    scores.at(np.zeros(5, np.int32), np.arange(5, dtype=np.int32))
    scores.add(HIDDEN[0], lambda _: None)
    assert np.isnan(scores.take([0])[0]).all()
