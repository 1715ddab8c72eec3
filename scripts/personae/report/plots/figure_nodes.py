"""From tables to a figure, for figures that differ only in the function that draws them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from personae.data.data_frames import read_frame
from personae.report.plots.style import Illustration, nothing_kept, save


def plot_table(
    *,
    draw: Callable[..., Illustration],
    kind: str,
    table: str,
    path_out: str,
    middle_layer: int,
    provenance: dict[str, str],
) -> None:
    """Draw one table, with the middle layer marked or shown alone.

    Parameters
    ----------
    draw
        Takes the rows and ``middle_layer``, which counts from 0.
    kind
        Kind of the table.
    """
    save(draw(read_frame(table, kind), middle_layer=middle_layer), path_out, provenance)


def plot_effects(
    *,
    draw: Callable[..., Illustration],
    title: str,
    effects: Sequence[str],
    path_out: str,
    judge: str,
    coherence_floor: float,
    provenance: dict[str, str],
) -> None:
    """Draw ``steering_effects`` of every trait, scores of one judge.

    Parameters
    ----------
    draw
        Takes the rows and ``coherence_floor`` (0-100).
    title
        Title of the placeholder that is drawn if the filter dropped every trait.
    """
    rows = read_frame(effects, "steering_effects", filters=[("judge", "==", judge)])
    drawn = nothing_kept(title) if rows.empty else draw(rows, coherence_floor=coherence_floor)
    save(drawn, path_out, provenance)
