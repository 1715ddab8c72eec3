"""Figures: findings, metadata, and edge cases of their tables."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from personae.base.errors import PersonaeError
from personae.data.data_frames import read_frame
from personae.data.effect_tables import AXIS, tradeoff_arms, usable_coefficient
from personae.report.embedded_figures import load_figure
from personae.report.plots import (
    axis_figure,
    capping_figure,
    drift_figure,
    heat_map,
    judges_figure,
    persona_space_figure,
    role_loadings_figure,
    separation_figure,
    steering_figure,
)
from personae.report.plots.figure_files import regions
from personae.report.plots.label_placement import select_extremes
from personae.report.plots.style import Illustration, nothing_kept, panels, save
from personae.report.wording import both_ends, bounds, count, listed, readable, typeset
from personae.workflow.stages.registry import figure_names

from .synthetic.basics import JUDGES, MIDDLE, ROLES, TRAITS
from .synthetic.study import COHERENCE_FLOOR, Study, provenance


def frame(study: Study, place: str, schema: str, model: str = "good") -> pd.DataFrame:
    """Read one table of a model."""
    return read_frame(study.table(model, place), schema)


def effects(study: Study, stage: str) -> pd.DataFrame:
    """Read the effects of all traits as the primary judge sees them."""
    paths = [study.table("good", f"steering/{trait}/{stage}/effects") for trait in TRAITS]
    return read_frame(paths, "steering_effects", filters=[("judge", "==", JUDGES[0])])


def tradeoff(study: Study) -> pd.DataFrame:
    """Read the trade-off as the primary judge sees it."""
    table = frame(study, "capping/tradeoff", "capping_tradeoff")
    return table[table.judge.isin([JUDGES[0], ""])]


@pytest.mark.parametrize("model", ["good", "flat"])
@pytest.mark.parametrize("name", figure_names())
def test_every_figure_carries_its_title_and_finding(study: Study, model: str, name: str) -> None:
    view = load_figure(study.figure(model, name), {name: "how to read it"})
    assert view.title
    assert view.finding.endswith(".")
    assert "nan" not in view.finding
    assert "- " not in view.finding


@pytest.mark.parametrize("name", figure_names())
def test_figures_draw_text_as_paths_and_have_no_links(study: Study, name: str) -> None:
    text = Path(study.figure("good", name)).read_text("utf-8")
    root = ElementTree.fromstring(text)
    assert not list(root.iter("{http://www.w3.org/2000/svg}text"))
    links = [value for e in root.iter() for key, value in e.attrib.items() if key.endswith("href")]
    assert all(link.startswith(("#", "data:image/png")) for link in links)


def test_the_same_tables_give_the_same_bytes(study: Study, tmp_path: Path) -> None:
    layers = frame(study, "axis/space_layers", "space_layers")
    for name in ("a.svg", "b.svg"):
        save(
            axis_figure.axis_layers(layers, middle_layer=MIDDLE),
            tmp_path / name,
            provenance("good"),
        )
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    assert "weights_digest=" in (tmp_path / "a.svg").read_text("utf-8")
    rows = pd.read_csv(tmp_path / "a.csv")
    assert list(rows) == list(layers)
    np.testing.assert_allclose(rows.layer, layers.layer)


def test_rows_of_several_tables_are_told_apart(tmp_path: Path) -> None:
    one = pd.DataFrame({"x": [1.0], "y": [2.0]})
    figure, _ = panels(1, 1)
    save(Illustration(figure, "t", "f", {"a": one, "b": one[["y"]]}), tmp_path / "c.svg", {})
    assert pd.read_csv(tmp_path / "c.csv").table.tolist() == ["a", "b"]
    save(nothing_kept("t"), tmp_path / "d.svg", {})
    assert (tmp_path / "d.csv").read_text() == "table\n"


def test_a_figure_is_divided_between_its_panels_and_above_its_legend() -> None:
    figure, axes = panels(1, 2)
    axes[0, 0].plot([0, 1], label="a")
    figure.legend(loc="outside lower center")
    left, right, legend = regions(figure)
    assert left.left == 0.0
    assert 0.4 < left.right == right.left < 0.6
    assert right.right == 1.0
    assert left.bottom == right.bottom <= legend.top
    assert len(regions(panels(1, 1)[0])) == 1
    assert len(regions(panels(2, 1)[0])) == 1


def test_a_failed_save_keeps_the_old_figure(tmp_path: Path) -> None:
    path = tmp_path / "figure.svg"
    path.write_text("old", "utf-8")
    broken = Illustration(figure=None, title="t", finding="f")  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        save(broken, path, {})
    assert path.read_text("utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_persona_space_states_the_planted_positions(study: Study) -> None:
    drawn = persona_space_figure.persona_space(
        frame(study, "axis/space_coordinates", "space_coordinates"),
        frame(study, "axis/space_components", "space_components"),
        middle_layer=MIDDLE,
        variance_threshold=0.7,
    )
    assert f"than 12 of {len(ROLES)} roles" in drawn.finding
    assert "3 components (mean-subtracted)" in drawn.finding


def test_two_roles_span_a_line(study: Study) -> None:
    """All that is left when a strict judge leaves most roles without a vector."""
    coordinates = frame(study, "axis/space_coordinates", "space_coordinates")
    components = frame(study, "axis/space_components", "space_components")
    few = coordinates.role.isin([*ROLES[:2], "default"]) & (coordinates.component == 1)
    drawn = persona_space_figure.persona_space(
        coordinates[few],
        components[components.component == 1],
        middle_layer=MIDDLE,
        variance_threshold=0.7,
    )
    assert "of 2 roles" in drawn.finding


def test_alignment_states_the_value_the_interval_and_the_worst_layer(study: Study) -> None:
    layers = frame(study, "axis/space_layers", "space_layers")
    centred = layers[layers.scaling == "centred"].set_index("layer")
    finding = axis_figure.axis_layers(layers, middle_layer=MIDDLE).finding
    assert f"|cos(axis, PC 1)| is {centred.axis_pc1_cosine[MIDDLE]:.2f}" in finding
    assert f"at layer {centred.axis_pc1_cosine.idxmin()}" in finding


def test_layers_without_reliability_are_drawn(study: Study) -> None:
    layers = frame(study, "axis/space_layers", "space_layers").assign(split_half=np.nan)
    labels = (
        axis_figure.axis_layers(layers, middle_layer=MIDDLE)
        .figure.axes[0]
        .get_legend_handles_labels()
    )
    assert not any("split-half" in label for label in labels[1])


def test_separation_without_held_out_rollouts_shows_the_extraction_rollouts(study: Study) -> None:
    paths = [study.table("good", f"roles/{role}/projections") for role in [*ROLES, "default"]]
    along = [("direction", "==", "axis"), ("layer", "==", MIDDLE), ("split", "==", "extraction")]
    rows = read_frame(paths, "projections", filters=along)
    drawn = separation_figure.separation(
        frame(study, "axis/separation", "separation"), rows, middle_layer=MIDDLE
    )
    names = [label.get_text() for label in drawn.figure.axes[1].get_yticklabels()]
    assert names[-1] == "default Assistant"
    assert len(names) == len(ROLES) + 1


def test_role_heatmap_is_ordered_along_the_axis(study: Study) -> None:
    square = heat_map.matrix(frame(study, "axis/cosines", "cosines"), MIDDLE)
    along = square[AXIS].drop(index=AXIS)
    assert square.index[0] == AXIS
    assert along.is_monotonic_decreasing


def test_hundreds_of_roles_are_drawn_without_names() -> None:
    names = [AXIS, *(f"role{i}" for i in range(120))]
    angle = np.linspace(0, 3, len(names))
    pairs = pd.DataFrame(
        [
            {"layer": 0, "left": a, "right": b, "cosine": float(np.cos(angle[i] - angle[j]))}
            for i, a in enumerate(names)
            for j, b in enumerate(names)
        ]
    )
    drawn = heat_map.role_cosines(pairs, middle_layer=0)
    assert not drawn.figure.axes[0].get_xticklabels()
    assert max(drawn.figure.get_size_inches()) < 12


def test_findings_of_geometry_name_their_nulls_and_intervals(study: Study) -> None:
    cosines = frame(study, "axis/cosines", "cosines")
    roles = heat_map.role_cosines(cosines, middle_layer=MIDDLE).finding
    assert f" of {len(ROLES)} are beyond 95% of random contrasts (" in roles
    loadings = frame(study, "axis/role_loadings", "role_loadings")
    said = role_loadings_figure.role_loadings(loadings[loadings.layer == MIDDLE]).finding
    assert f" of {len(ROLES)} beyond 95% of random contrasts, " in said.split(";")[0]
    traits = load_figure(study.figure("good", "trait_geometry"), {"trait_geometry": ""}).finding
    assert "random contrasts between roles (" in traits
    assert "contrasts stay below" in traits
    arms = load_figure(study.figure("good", "comparison"), {"comparison": ""}).finding
    assert "Its 95% interval lies above zero for " in arms
    drifting = load_figure(study.figure("good", "drift"), {"drift": ""}).finding
    assert drifting.count("95% interval") >= 2


@pytest.mark.parametrize("count", [1, 2, 3])
def test_two_roles_are_not_called_similar_and_one_is_alone(count: int) -> None:
    names = [AXIS, "cat", "poet", "pirate"][: count + 1]
    angle = [0.0, 1.0, 1.5, 2.9]
    pairs = pd.DataFrame(
        [
            {"layer": 0, "left": a, "right": b, "cosine": float(np.cos(angle[i] - angle[j]))}
            for i, a in enumerate(names)
            for j, b in enumerate(names)
        ]
    )
    finding = heat_map.role_cosines(pairs, middle_layer=0).finding
    assert ("most similar roles are cat and poet" in finding) == (count == 3)
    assert ("range from" in finding) == (count > 1)
    assert "nan" not in finding


@pytest.mark.parametrize(
    ("n", "ends"),
    [(0, ([], [])), (1, (["a"], [])), (2, (["a"], ["b"])), (3, (["a"], ["c"])),
     (5, (["a", "b"], ["e", "d"])), (9, (["a", "b", "c"], ["i", "h", "g"]))],
)  # fmt: skip
def test_no_name_is_at_both_ends(n: int, ends: tuple[list[str], list[str]]) -> None:
    assert both_ends("abcdefghi"[:n], 3) == ends


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_roles_and_traits_are_named_once(study: Study, n: int) -> None:
    loadings = frame(study, "axis/role_loadings", "role_loadings")
    some = loadings[loadings.role.isin(ROLES[:n])]
    coordinates = frame(study, "axis/space_coordinates", "space_coordinates")
    components = frame(study, "axis/space_components", "space_components")
    space = persona_space_figure.persona_space(
        coordinates[coordinates.role.isin([*ROLES[:n], "default"])],
        components,
        middle_layer=MIDDLE,
        variance_threshold=0.7,
    )
    for said in (role_loadings_figure.role_loadings(some).finding, space.finding):
        assert "nan" not in said
        for part in said.split(";"):
            assert all(part.count(readable(role)) <= 1 for role in ROLES[:n])


def test_an_interval_that_cannot_be_told_is_said_to_be_missing() -> None:
    assert bounds(0.1, 0.25, ".0%") == "10% to 25%"
    for low, high in ((float("nan"), 0.2), (0.1, float("nan")), (None, None)):
        assert bounds(low, high) == "not available, too few units"


def test_steering_effects_are_taken_at_the_largest_coherent_coefficient(study: Study) -> None:
    table = effects(study, "alpha_sweep")
    own = table[table.trait == "poetic"]
    assert usable_coefficient(own, COHERENCE_FLOOR) == 2.0
    assert usable_coefficient(own, 101) is None
    finding = steering_figure.steering(table, coherence_floor=101).finding
    assert "no coherent coefficient for poetic" in finding


def test_the_layer_sweep_reports_that_no_layer_is_coherent(study: Study) -> None:
    table = effects(study, "layer_sweep")
    assert (
        "no layer is coherent" not in steering_figure.layer_sweep(table, coherence_floor=50).finding
    )
    assert "no layer is coherent" in steering_figure.layer_sweep(table, coherence_floor=99).finding


def test_the_trade_off_is_relative_to_the_uncapped_share(study: Study) -> None:
    arms = tradeoff_arms(tradeoff(study), "roles_played", "closed_accuracy")
    best = arms.axis.loc[arms.axis.y.idxmax()]
    assert (best.band, best.percentile) == ("2-5", 75.0)
    assert best.y == pytest.approx(0.75)
    assert len(arms.random) == len(arms.axis)


def test_the_trade_off_is_drawn_without_random_directions_and_without_jailbreaks(
    study: Study,
) -> None:
    table = tradeoff(study)
    table = table[~table.direction.str.startswith("random")]
    drawn = capping_figure.tradeoff(table[~table.measure.str.startswith("jailbreak")])
    assert len(drawn.figure.axes) == 3  # the heat map, and a panel for each measure of cost
    assert "random" not in drawn.finding


def test_no_response_in_persona_without_capping_is_reported_without_division(study: Study) -> None:
    table = tradeoff(study)
    played = table.measure.str.endswith("_played")
    table.loc[played, ["value", "change", "low", "high"]] = 0.0
    assert "even without capping" in capping_figure.tradeoff(table).finding


def test_simulated_conversations_have_their_own_row_by_domain(study: Study) -> None:
    rows = frame(study, "drift/projections", "drift_projections")
    rows = rows[(rows.direction == "axis") & (rows.layer == MIDDLE)]
    summary = frame(study, "drift/summary", "drift_summary")
    drawn = drift_figure.drift(rows, summary, middle_layer=MIDDLE)
    assert "of 48 simulated conversations" in drawn.finding
    assert "furthest from the Assistant first, are therapy 0." in drawn.finding
    bottom = drawn.figure.axes[-5:]
    assert bottom[0].get_ylabel() == "Simulated users"
    titles = [axes.get_title(loc="left") for axes in drawn.figure.axes[:5]]
    assert titles == ["Coding", "Philosophy", "Therapy", "Writing", "All domains"]
    for axes, domain in zip(bottom, ["coding", "philosophy", "therapy", "writing"], strict=False):
        (line,) = axes.get_lines()
        wanted = summary[(summary.arm == "simulated") & (summary.domain == domain)]
        assert np.allclose(line.get_ydata(), wanted.sort_values("turn")["mean"])
        assert list(line.get_xdata()) == list(range(1, 9))
    drawn.figure.draw_without_rendering()
    legend = drawn.figure.legends[0].get_window_extent()
    assert 0 <= legend.x0 < legend.x1 <= drawn.figure.bbox.width
    without = drift_figure.drift(
        rows[rows.arm != "simulated"], summary[summary.arm != "simulated"], middle_layer=MIDDLE
    )
    assert len(without.figure.axes) == len(drawn.figure.axes) - 5
    assert drawn.finding.startswith(without.finding)


def test_every_rubric_with_levels_has_its_confusion_by_judge(study: Study) -> None:
    confusion = frame(study, "judging/confusion", "confusion")
    harm = confusion[confusion.judge == JUDGES[0]].assign(rubric="harm")
    between = confusion.assign(against=JUDGES[1], rubric="coherence")
    drawn = judges_figure.judges(
        frame(study, "judging/agreement", "agreement"), pd.concat([harm, confusion, between])
    )
    shown = [axes.get_xlabel() for axes in drawn.figure.axes[1:]]
    assert shown == [
        *["role adherence by the judge"] * 2, "harm by the judge", "", *["trait by the judge"] * 2,
    ]  # fmt: skip
    assert "does not judge harm" in drawn.figure.axes[4].texts[0].get_text()
    counts = [text.get_text() for text in drawn.figure.axes[1].texts]
    assert counts[:2] == ["12", "3"]


def test_single_roles_and_undefined_areas_are_omitted(study: Study) -> None:
    agreement = frame(study, "judging/agreement", "agreement")
    extra = agreement.head(2).assign(rubric="role_adherence", target="pirate")
    undefined = agreement.head(1).assign(target="optimistic", auc=np.nan)
    drawn = judges_figure.judges(
        pd.concat([agreement, extra, undefined]), frame(study, "judging/confusion", "confusion")
    )
    names = [label.get_text() for label in drawn.figure.axes[0].get_yticklabels()]
    assert sorted(names) == sorted(
        [
            *("all traits", "role adherence", "coherence", "role label", "harm", "delusion risk"),
            *map(readable, TRAITS),
        ]
    )


def test_damaged_figures_raise_an_error_with_the_file_name(tmp_path: Path) -> None:
    path = tmp_path / "capping.svg"
    path.write_text("<svg", "utf-8")
    with pytest.raises(PersonaeError, match=r"capping\.svg: not an SVG"):
        load_figure(str(path), {})
    path.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>", "utf-8")
    with pytest.raises(PersonaeError, match="no title or finding"):
        load_figure(str(path), {})


def test_formatting_of_names_counts_and_lists() -> None:
    assert readable("pirate_speech") == "pirate speech"
    assert readable("default") == "default Assistant"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert count(1, "role") == "1 role"
    assert count(1200, "role") == "1,200 roles"
    assert typeset("from -0.19 to -0.00, layers 20-24") == "from \u22120.19 to 0.00, layers 20-24"
    assert select_extremes(np.array([3.0, 1.0, 2.0, 9.0, 8.0]), 2) == [1, 3]
