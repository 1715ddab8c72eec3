"""Batch resources of nodes, from the model table and the study's size.

GPUs and host memory are the model's, time is what the estimate expects of the node, with a margin.
Memory and time grow with every further attempt. Outside a batch system none of this has an effect.
"""

from __future__ import annotations

import math
from typing import Final

from personae.data.model_table import ModelRow
from personae.workflow.cluster.site_settings import PREFIX, SiteError, text

MARGIN: Final = 2.0
"""Time asked for, over the time expected: a job that runs out of time has computed for nothing."""

FEWEST_MINUTES: Final = 5
_MORE_MEMORY: Final = 1.5
_CLIENT_GB: Final = 4


def gpu_request(row: ModelRow) -> str:
    """Return the generic resource of a node of this model; empty if it needs no GPU.

    Raises
    ------
    SiteError
        When ``PERSONAE_SLURM_GRES`` does not say where the number of GPUs goes.
    """
    if not row.gpus:
        return ""
    template = text("GRES", "gpu:{gpus}")
    if "{gpus}" not in template:
        raise SiteError(f"{PREFIX}GRES={template!r}: write {{gpus}} where the number goes")
    return template.replace("{gpus}", str(row.gpus))


def partition(row: ModelRow) -> str:
    """Return the partition of this model's nodes; empty is the cluster's default."""
    return text("PARTITION") if row.gpus else text("CPU_PARTITION") or text("PARTITION")


def memory_mb(row: ModelRow, attempt: int) -> int:
    """Return host memory in megabytes: the model's own and its client's."""
    gigabytes = (row.mem_gb + _CLIENT_GB) * _MORE_MEMORY ** (attempt - 1)
    return math.ceil(1000 * gigabytes)


def minutes(expected_seconds: float, attempt: int) -> int:
    """Return the requested time in minutes."""
    return attempt * max(FEWEST_MINUTES, math.ceil(MARGIN * expected_seconds / 60))
