"""Compare the positions at which interventions acted with those that they had to act at."""

from __future__ import annotations

from collections.abc import Sequence

from personae.api.requests import Intervention
from personae.inference.engine_errors import InterventionError
from personae.inference.torch_engine.interventions import expected_positions
from personae.inference.vllm_engine.step_state import InterventionCounts


def verify_row(
    interventions: Sequence[Intervention],
    n_prompt: int,
    fed: int,
    ranks: Sequence[InterventionCounts],
) -> int:
    """Check a row's counters on every tensor-parallel rank.

    Parameters
    ----------
    n_prompt, fed
        Tokens of its prompt, and all tokens that had to go through the model. vLLM may compute one
        more, beyond the row's end, before it knows that the row has ended.
    ranks
        What each rank counted.

    Returns
    -------
    int
        Positions at which the interventions acted among the ``fed`` tokens, summed over them.

    Raises
    ------
    InterventionError
        If an intervention acted at more or fewer positions than it had to, on any rank.
    """
    for acted in ranks:
        if not fed <= acted.reach <= fed + 1:
            raise InterventionError(f"{acted.reach} tokens of a row were computed, not {fed}")
        for one, count in zip(interventions, acted.counts, strict=False):
            expected = expected_positions(one.positions, n_prompt, 0, acted.reach) - sum(
                expected_positions(one.positions, n_prompt, start, end)
                for start, end in acted.inherited
            )
            if count != expected:
                raise InterventionError(
                    f"{one.op} at layer {one.layer} acted at {count} positions of a row, "
                    f"not at {expected}"
                )
    return sum(expected_positions(one.positions, n_prompt, 0, fed) for one in interventions)
