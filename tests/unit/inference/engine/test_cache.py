"""Rules of the row cache: order after rows leave, shifting, and its limits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from personae.inference.torch_engine.kv_cache import RowCache

# A cache grows on a CPU alone; its tensors are where the states are that enter it.
KINDS = [torch.device("cpu"), torch.device("cuda")]


@pytest.fixture(params=KINDS, ids=["grows", "allocated_once"])
def kind(request: pytest.FixtureRequest) -> torch.device:
    device: torch.device = request.param
    return device


def _states(rows: int, steps: int, first: float) -> Tensor:
    """Return [rows, 1 head, steps, 1] whose numbers say row and step: first + 10 row + step."""
    return first + 10 * torch.arange(rows)[:, None, None, None] + torch.arange(steps)[:, None]


def _enter(cache: RowCache, lengths: list[int], first: float) -> None:
    states = _states(len(lengths), max(lengths), first)
    with cache.entering(range(len(lengths)), lengths):
        keys, _ = cache.update(states, -states, 0)
    assert torch.equal(keys, states), "a prefill attends to itself alone"


def _step(cache: RowCache, value: float) -> list[list[float]]:
    """Write one token to all rows and return what every row can see."""
    cache.make_room(1)
    mask = cache.mask(1, torch.device("cpu"))
    new = torch.full((cache.rows, 1, 1, 1), value)
    keys, values = cache.update(new, -new, 0)
    cache.advance()
    assert torch.equal(keys, -values)
    seen = torch.ones(keys.shape[0], keys.shape[2], dtype=torch.bool) if mask is None else mask
    return [k[0, m, 0].tolist() for k, m in zip(keys, seen, strict=True)]


def test_rows_enter_grow_leave_and_others_take_their_place(kind: torch.device) -> None:
    cache = RowCache(1, max_rows=4, capacity=8, device=kind)
    _enter(cache, [3, 1, 2], 100)
    assert _step(cache, 1) == [[100, 101, 102, 1], [110, 1], [120, 121, 1]]
    order = cache.keep([1, 2])
    assert order == [2, 1]
    assert _step(cache, 2) == [[120, 121, 1, 2], [110, 1, 2]]
    _enter(cache, [2, 1], 500)
    assert _step(cache, 3) == [[120, 121, 1, 2, 3], [110, 1, 2, 3], [500, 501, 3], [510, 3]]


def test_a_full_cache_shifts_to_the_left_and_keeps_room_for_waiting_rows(
    kind: torch.device,
) -> None:
    cache = RowCache(1, max_rows=3, capacity=6, device=kind)
    _enter(cache, [4], 100)
    _enter(cache, [1], 200)
    _step(cache, 1)
    cache.keep([1])
    for value in (2, 3, 4):
        seen = _step(cache, value)
    assert seen == [[200, 1, 2, 3, 4]]
    cache.make_room(1, longest=4)
    _enter(cache, [4], 300)
    assert _step(cache, 5) == [[200, 1, 2, 3, 4, 5], [300, 301, 302, 303, 5]]


def test_several_rows_from_one_prefill(kind: torch.device) -> None:
    cache = RowCache(1, max_rows=4, capacity=5, device=kind)
    states = _states(2, 3, 100)
    with cache.entering([1, 0, 1], [2, 3, 2]):
        cache.update(states, -states, 0)
    assert _step(cache, 9) == [[110, 111, 9], [100, 101, 102, 9], [110, 111, 9]]


def test_a_failed_prefill_adds_no_rows(kind: torch.device) -> None:
    cache = RowCache(1, max_rows=2, capacity=4, device=kind)

    def fail() -> None:
        with cache.entering([0], [2]):
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert cache.rows == 0
    _enter(cache, [2], 100)
    assert _step(cache, 1) == [[100, 101, 1]]


def test_rows_beyond_the_capacity_are_an_error(kind: torch.device) -> None:
    cache = RowCache(1, max_rows=1, capacity=3, device=kind)
    _enter(cache, [3], 100)
    with pytest.raises(ValueError, match=r"rows of 3 \+ 1 slots exceed the cache's 3"):
        cache.make_room(1)


def test_rows_outgrow_what_was_allocated_and_keep_their_past(kind: torch.device) -> None:
    cache = RowCache(1, max_rows=3, capacity=60, device=kind)
    _enter(cache, [5, 14], 100)
    for value in range(40):
        seen = _step(cache, value)
    assert seen == [
        [*range(100, 105), *range(40)],
        [*range(110, 124), *range(40)],
    ]
    cache.keep([0])
    cache.make_room(1, longest=20)
    _enter(cache, [20], 300)
    assert _step(cache, 77) == [
        [*range(100, 105), *range(40), 77],
        [*range(300, 320), 77],
    ]


def test_on_a_cpu_attention_reads_one_piece_of_memory() -> None:
    cache = RowCache(1, max_rows=2, capacity=60, device=torch.device("cpu"))
    _enter(cache, [5, 14], 100)
    for _ in range(20):
        cache.make_room(1)
        new = torch.zeros(2, 1, 1, 1)
        keys, values = cache.update(new, new, 0)
        cache.advance()
        assert keys.is_contiguous()
        assert values.is_contiguous()
        assert keys.shape[2] % 16 == 0


def test_elsewhere_attention_reads_few_different_widths() -> None:
    cache = RowCache(1, max_rows=2, capacity=300, device=torch.device("cuda"))
    _enter(cache, [5, 100], 100)
    widths, seen = set(), []
    for value in range(200):
        cache.make_room(1)
        new = torch.full((2, 1, 1, 1), float(value))
        keys, _ = cache.update(new, new, 0)
        mask = cache.mask(1, torch.device("cpu"))
        assert mask is None or mask.shape[1] == keys.shape[2]
        cache.advance()
        widths.add(keys.shape[2])
        seen.append(keys.shape[2] if mask is None else int(mask[0].sum()))
    assert seen == list(range(6, 206))
    assert widths == {128, 192, 256, 300}
