"""Requests of one batch go out one after the other, and as many as ever."""

from __future__ import annotations

from itertools import pairwise

from personae.endpoints.request_turn import Spacing

CYCLE = 0.05


def run(ready: list[float], rounds: int, work: float) -> list[float]:
    """Return when requests went out whose answers come after a fixed time, all work in one line."""
    spacing, sent, free = Spacing(), [], 0.0
    for _ in range(rounds):
        out = []
        for at in sorted(ready):
            free = max(free, at) + work
            out.append(free + spacing.delay(free))
        sent += out
        ready = [at + CYCLE for at in out]
    return sent


def test_what_began_together_goes_out_apart_before_long() -> None:
    sent = run([0.0] * 8, 40, 0.0005)
    distances = [b - a for a, b in pairwise(sorted(sent)[-64:])]
    assert min(distances) > 0.0025
    assert len(sent) / sent[-1] > 0.95 * 8 / (CYCLE + 0.0005)


def test_a_lone_request_waits_for_nothing() -> None:
    spacing = Spacing()
    assert [spacing.delay(float(second)) for second in range(5)] == [0.0] * 5


def test_it_does_not_bound_how_many_go_out() -> None:
    spacing, now, waited = Spacing(), 0.0, []
    for _ in range(2000):
        now += 0.0002
        waited.append(spacing.delay(now))
        now += waited[-1]
    assert sum(waited[-1000:]) == 0.0
