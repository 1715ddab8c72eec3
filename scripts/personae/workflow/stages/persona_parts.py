"""Parts of the personas: groups of personas that one node projects together.

Projecting a persona takes seconds where its activations are kept, and every persona is projected
anew when the axis moves, so a node of its own for each would only make planning and queueing slow:
Snakemake looks at everything that the axis depends on for every such node.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from personae.data.table_values import DEFAULT

if TYPE_CHECKING:
    from personae.workflow.config import Study

_ROLES: Final = {True: 24, False: 8}
_TRAITS: Final = {True: 12, False: 4}  # with two polarities
"""Personas of a part where activations are kept, and where the model has to read them: a node that
is ended begins anew."""


def role_parts(study: Study) -> dict[str, list[str]]:
    """Return the roles, the default Assistant among them, by part."""
    return parts([*study.role_names, DEFAULT], _ROLES[study.keeps_activations])


def trait_parts(study: Study) -> dict[str, list[str]]:
    """Return the traits of the trait space by part."""
    return parts(study.space_names, _TRAITS[study.keeps_activations])


def parts(names: Sequence[str], size: int) -> dict[str, list[str]]:
    """Divide names into parts of about ``size``, in the order of ``names`` within each.

    A name's part depends on the name and on the number of parts, so an additional name changes one
    part only, unless it needs a further part.
    """
    number = math.ceil(len(names) / size)
    found: dict[str, list[str]] = {f"part{index:02d}": [] for index in range(number)}
    for name in names:
        found[f"part{zlib.crc32(name.encode()) % number:02d}"].append(name)
    return {part: members for part, members in found.items() if members}
