"""Shared prefixes and batches: the least work, and the same tokens."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest

from personae.api.requests import Intervention, Message, Sampling
from personae.inference.torch_engine.batching import batched, pass_cost
from personae.inference.torch_engine.common_prefix import shared_prefixes
from personae.inference.torch_engine.forwarding import FedTokens
from personae.inference.torch_engine.model_loading import LoadedModel
from personae.inference.torch_engine.prefix_sharing import PrefixGroup, divide

from .asking import GREEDY, generate, generate_request, generate_rows, reference_greedy
from .streams import VECTORS

SYSTEMS = ["You are a very old wizard who speaks in riddles. " * 3, "You are a librarian. " * 4]


def _chats(count: int) -> list[list[Message]]:
    """Return chats under two long system prompts, with questions of several lengths."""
    return [
        [
            Message(role="system", content=SYSTEMS[i % 2]),
            Message(role="user", content="why? " * (i % 4) + chr(97 + i)),
        ]
        for i in range(count)
    ]


def test_prompts_share_what_they_begin_with() -> None:
    prompts = [[1, 2, 3, 4, 5], [1, 2, 3, 4, 6], [1, 2, 3, 4, 6, 7], [9, 1], [1, 8]]
    assert shared_prefixes(prompts, [0] * 5) == [4, 4, 4, 0, 0]
    assert shared_prefixes(prompts, [0, 1, 0, 1, 0]) == [4, 0, 4, 0, 0]
    assert shared_prefixes([[1, 2]], [0]) == [0]
    assert shared_prefixes([], []) == []


def test_a_longer_prefix_of_fewer_wins_where_it_saves_more() -> None:
    few = [[1, *range(10, 30), i] for i in range(3)]
    others = [[1, *range(40, 60), i] for i in range(3)]
    assert shared_prefixes([*few, *others], [0] * 6) == [21] * 6
    loose = [[1, 2, 3, 100 + i, 5] for i in range(6)]
    assert shared_prefixes([*loose, [1, 2, 3, 100, 7]], [0] * 7) == [3] * 7


def test_shared_prefixes_change_no_token_in_any_family(
    family: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = _chats(10)
    expected = [reference_greedy(family, turn, GREEDY.max_new_tokens) for turn in turns]
    fed = 0
    decoder = family.model.get_decoder()
    forward = decoder.forward

    def counting(*args: Any, **kwargs: Any) -> Any:
        nonlocal fed
        # A multimodal model hands its decoder embeddings.
        given = kwargs.get("input_ids")
        rows, width = (kwargs["inputs_embeds"] if given is None else given).shape[:2]
        fed += rows * width if width > 1 else 0
        return forward(*args, **kwargs)

    monkeypatch.setattr(decoder, "forward", counting)
    results = generate(family, generate_request(generate_rows(turns)))
    assert [result.response_ids for result in results] == expected
    if len(set(map(len, (r.prompt_ids for r in results)))) > 1:
        whole = sum(len(result.prompt_ids) for result in results)
        system_text = "".join(SYSTEMS)[:10] in str(family.tokenizer.decode(results[0].prompt_ids))
        # Mistral's template drops system texts: then there is nothing to share.
        assert not system_text or fed < 0.6 * whole


@pytest.mark.parametrize("tokens", [32768, 900], ids=["one batch", "rows enter and leave"])
def test_interventions_and_refill_with_shared_prefixes(tiny: LoadedModel, tokens: int) -> None:
    cap = Intervention(op="cap", layer=1, vector="axis", floor=1.5)
    later = Intervention(op="add", layer=2, vector="v", coefficient=3.0, positions="response")
    rows = generate_rows(_chats(12), {i: [cap] if i % 3 else [later] for i in range(12)})
    together = generate(tiny, generate_request(rows, vectors=VECTORS), tokens)
    alone = [generate(tiny, generate_request([row], vectors=VECTORS))[0] for row in rows]
    assert together == alone
    assert all(result.fired for result in together)


def test_many_batches_of_prompts_enter_whatever_their_lengths(tiny: LoadedModel) -> None:
    short = [[Message(role="user", content="x" * (i % 7) + chr(97 + i))] for i in range(20)]
    rows = generate_rows([*short, *_chats(60)])
    for order in (rows, rows[::-1]):
        results = generate(tiny, generate_request(order))
        for row, result in list(zip(order, results, strict=True))[::9]:
            assert result == generate(tiny, generate_request([row]))[0]


def test_rows_may_have_budgets_of_their_own(tiny: LoadedModel) -> None:
    sampling = Sampling(temperature=0.9, max_new_tokens=20)
    rows = generate_rows(_chats(6))
    budgets = [1, 3, None, 25, 7, None]
    own = [
        row.model_copy(update={"max_new_tokens": budget})
        for row, budget in zip(rows, budgets, strict=True)
    ]
    found = generate(tiny, generate_request(own, sampling), 900)
    longer = sampling.model_copy(update={"max_new_tokens": 25})
    for result, full, budget in zip(
        found, generate(tiny, generate_request(rows, longer)), budgets, strict=True
    ):
        assert result.response_ids == full.response_ids[: budget or 20]


def _cost(batches: list[list[int]], cost: int) -> int:
    return sum(cost + len(batch) * max(batch) for batch in batches)


@pytest.mark.parametrize("cost", [0, 5, 60])
def test_batches_compute_as_little_as_any_division(cost: int) -> None:
    sizes = sorted(np.random.default_rng(cost).integers(1, 40, size=9).tolist(), reverse=True)
    found = batched(sizes, lambda size: size, 120, cost=cost)
    assert [size for batch in found for size in batch] == sizes
    divisions = [
        _divided(sizes, cuts) for count in range(9) for cuts in combinations(range(1, 9), count)
    ]
    allowed = [d for d in divisions if all(len(batch) * max(batch) <= 120 for batch in d)]
    assert _cost(found, cost) == min(_cost(division, cost) for division in allowed)


def _divided(sizes: list[int], cuts: tuple[int, ...]) -> list[list[int]]:
    return [sizes[a:b] for a, b in zip([0, *cuts], [*cuts, len(sizes)], strict=True)]


def test_what_items_take_up_besides_counts_in_the_limit_alone() -> None:
    assert batched([3] * 4, lambda size: size, 1000, cost=10, beyond=50) == [[3] * 4]
    assert batched([3] * 4, lambda size: size, 110, beyond=50) == [[3, 3], [3, 3]]
    assert batched([], lambda item: 1, 10) == []


def test_rows_share_their_beginnings_where_that_computes_less(tiny: LoadedModel) -> None:
    rng, outcomes = np.random.default_rng(0), set()
    for _ in range(40):
        beginnings = rng.integers(2, 120, size=rng.integers(1, 6))
        rows = [
            FedTokens(
                (*[1000 + which] * int(beginnings[which]), *rng.integers(256, size=own)), (), 0
            )
            for which in range(len(beginnings))
            for own in rng.integers(8, 200, size=rng.integers(2, 9))
        ]
        alone = divide(tiny, rows, [0] * len(rows), 4096)
        found = divide(tiny, rows, [len(row.ids) for row in rows], 4096)
        numbers = [n.number for group in found for batch in group.batches for n in batch]
        assert sorted(numbers) == list(range(len(rows)))
        assert all(len({bool(row.shared) for row in group.rows}) == 1 for group in found)
        outcomes.add(any(group.shares for group in found))
        assert _work(found, pass_cost(tiny)) <= _work(alone, pass_cost(tiny))
    assert outcomes == {True, False}


def _work(groups: list[PrefixGroup], cost: int) -> int:
    """Return how many tokens go through the model, a forward pass counted as ``cost`` of them."""
    total = 0
    for group in groups:
        for batch in group.batches:
            total += cost + len(batch) * max(len(row.ids) - row.shared for _, row in batch)
        once = {row.ids[: row.shared] for row in group.rows if row.shared}
        total += cost + len(once) * max(map(len, once)) if once else 0
    return total


def test_a_beginning_is_computed_once_for_all_batches_that_go_on_from_it(tiny: LoadedModel) -> None:
    begin = tuple(range(60))
    rows = [FedTokens((*begin, *range(own)), (), len(begin)) for own in range(4, 84, 2)]
    [group] = divide(tiny, rows, [len(begin)] * len(rows), 1000)
    assert len(group.batches) > 3
    assert {row.key for row in group.rows} == {((), begin, False)}
    assert all(
        len(batch) * max(len(row.ids) for _, row in batch) <= 1000 for batch in group.batches
    )
