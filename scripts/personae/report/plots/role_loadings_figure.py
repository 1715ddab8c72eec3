"""Loadings of roles on the leading components of persona space, with the names of the extremes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from personae.report.plots import style
from personae.report.plots.label_placement import select_extremes
from personae.report.plots.style import Illustration, illustrated, panels
from personae.report.wording import both_ends, listed, readable
from personae.science.trait_geometry import contrast_bound

_COMPONENTS = 4
_MOST_ROLES = 16
_NAMED = 2


@illustrated
def role_loadings(loadings: pd.DataFrame) -> Illustration:
    """Plot the fully-played roles with the most extreme loadings on every leading component.

    Parameters
    ----------
    loadings
        Table ``role_loadings`` of one model, at its middle layer.
    """
    rows = loadings[(loadings.scaling == "centred") & (loadings.kind == "fully")]
    shown = sorted(rows.component.unique())[:_COMPONENTS]
    n = min(rows.role.nunique(), _MOST_ROLES)
    figure, grid = panels(1, len(shown), width=11.0, height=float(np.clip(1.4 + 0.19 * n, 2.6, 5)))
    for axes, component in zip(grid[0], shown, strict=True):
        here = rows[rows.component == component].sort_values("loading").reset_index(drop=True)
        here = here.iloc[sorted(select_extremes(here.loading.to_numpy(), _MOST_ROLES))]
        places, values = np.arange(len(here)), here.loading.to_numpy()
        colors = np.where(values > 0, style.ASSISTANT, style.PERSONA).tolist()
        axes.barh(places, values, color=colors, height=0.7)
        axes.set_yticks(places, [readable(role) for role in here.role], fontsize=7.2)
        axes.set(xlim=(-1.02, 1.02), ylim=(-0.7, len(here) - 0.3), xlabel="Loading (cosine)")
        axes.axvline(0, color=style.MUTED, lw=0.7)
        axes.grid(axis="y", visible=False)
        axes.set_title(f"PC {component + 1} ({here.variance_ratio.iloc[0]:.0%})")
    return Illustration(figure, "Role loadings on the components", _finding(rows, shown))


def _finding(rows: pd.DataFrame, shown: list[int]) -> str:
    placed = rows.pivot(index="role", columns="component", values="loading")
    values, parts = placed.to_numpy(dtype=np.float64), []
    for component in shown:
        here = rows[rows.component == component].sort_values("loading", ascending=False)
        near, far = both_ends([readable(role) for role in here.role], _NAMED)
        text = f"PC {component + 1} runs from {listed(near)} to {listed(far) or 'no other'}"
        bound = contrast_bound(values, np.eye(values.shape[1])[placed.columns.get_loc(component)])
        if not np.isnan(bound):
            beyond = int((here.loading.abs() > bound).sum())
            text += f" ({beyond} of {len(here)} beyond 95% of random contrasts, {bound:.2f})"
        parts.append(text)
    return f"{'; '.join(parts)}. Components are signed toward the Assistant."
