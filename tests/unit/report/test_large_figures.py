"""Figures of 275 roles: labels do not cover each other, and titles say what is drawn."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from personae.data.effect_tables import AXIS
from personae.data.table_values import DEFAULT
from personae.report.plots.heat_map import role_cosines
from personae.report.plots.label_placement import settle
from personae.report.plots.persona_space_figure import persona_space
from personae.report.plots.separation_figure import separation

LAYER = 3
ROLES = [f"role_number_{i}" for i in range(275)]
RNG = np.random.default_rng(0)


def test_labels_of_many_roles_do_not_cover_each_other_or_the_default() -> None:
    places = RNG.normal(size=(len(ROLES), 2)) * [6.0, 4.0]
    rows = [
        (LAYER, "centred", role, kind, component, value)
        for role, kind, at in [
            *((role, "fully", at) for role, at in zip(ROLES, places, strict=True)),
            (DEFAULT, DEFAULT, np.asarray([12.0, 2.0])),
        ]
        for component, value in enumerate(at)
    ]
    names = ["layer", "scaling", "role", "kind", "component", "coordinate"]
    shares = [(LAYER, "centred", i, 1 / 274) for i in range(274)]
    drawn = persona_space(
        pd.DataFrame(rows, columns=names),
        pd.DataFrame(shares, columns=["layer", "scaling", "component", "variance_ratio"]),
        middle_layer=LAYER,
        variance_threshold=0.7,
    )
    settle(drawn.figure)
    labels = [t for t in drawn.figure.axes[0].texts if isinstance(t, Annotation) and t.get_text()]
    assert 10 < len(labels) <= 29
    boxes = [Bbox(label.get_window_extent().get_points()) for label in labels]
    crossed = [pair for pair in combinations(boxes, 2) if Bbox.intersection(*pair)]
    assert not crossed


def test_a_matrix_of_many_roles_names_some_and_says_so() -> None:
    names = [*ROLES, AXIS]
    vectors = RNG.normal(size=(len(names), 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    table = pd.DataFrame(
        {
            "layer": LAYER,
            "left": np.repeat(names, len(names)),
            "right": np.tile(names, len(names)),
            "cosine": (vectors @ vectors.T).ravel(),
        }
    )
    axes = role_cosines(table, middle_layer=LAYER).figure.axes[0]
    named = [label.get_text() for label in axes.get_yticklabels()]
    assert named[0] == "Assistant Axis"
    assert 50 <= len(named) <= 60
    assert axes.get_xlabel() == "275 directions, ordered along the axis; every 5th is named"


def test_the_title_says_how_many_of_the_roles_are_drawn() -> None:
    projections = pd.DataFrame(
        {
            "subject": np.repeat([*ROLES, DEFAULT], 5),
            "split": "heldout",
            "projection": RNG.normal(size=276 * 5),
        }
    )
    aucs = pd.DataFrame(
        {
            "layer": [0, LAYER], "direction": "axis", "split": "heldout",
            "auc": 0.9, "auc_low": 0.8, "auc_high": 0.95, "null_p95": 0.55,
        }
    )  # fmt: skip
    axes = separation(aucs, projections, middle_layer=LAYER).figure.axes[1]
    assert axes.get_title(loc="left") == "24 of 275 roles, from both ends, layer 3"
    assert len(axes.get_yticklabels()) == 25
    few = projections[projections.subject.isin([*ROLES[:5], DEFAULT])]
    axes = separation(aucs, few, middle_layer=LAYER).figure.axes[1]
    assert axes.get_title(loc="left") == "All rollouts at layer 3"
