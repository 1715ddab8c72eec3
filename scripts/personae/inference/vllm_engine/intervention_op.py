"""The operator that stands after every decoder block, in eager steps and in compiled graphs alike.

``personae::intervene`` changes the stream in place. A compiler sees an operator of fixed shape that
it cannot look into, and keeps it; what it does is decided by the *site* that its number names.
"""

from __future__ import annotations

from typing import Optional, Protocol

import torch
from torch import Tensor


class Site(Protocol):
    """One engine's blocks, as the operator reaches them."""

    def act(self, hidden: Tensor, residual: Tensor | None, layer: int) -> None:
        """Change the stream after block ``layer`` in place, and add up what is wanted of it."""


SITES: dict[int, Site] = {}
"""The engines of this process by the number in their graphs; see `worker_extension`."""


# The schema is read from the annotations, which must not use the newer way to write Optional.
@torch.library.custom_op("personae::intervene", mutates_args=("hidden", "residual"))
def intervene(
    hidden: Tensor,
    residual: Optional[Tensor],  # noqa: UP045
    site: int,
    layer: int,
) -> None:
    """Let a site act on the stream after block ``layer``.

    Parameters
    ----------
    hidden, residual
        [tokens, hidden]: a block's output and, where the model carries it apart, the residual that
        the next block's norm adds to it; the stream is their sum.
    site
        Number of the engine in `SITES`.
    layer
        0-based.
    """
    SITES[site].act(hidden, residual, layer)


@intervene.register_fake
def _(hidden: Tensor, residual: Optional[Tensor], site: int, layer: int) -> None:  # noqa: UP045
    return None
