"""A complete study on disk, with figures, scorecard and report written by the project's scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from scripts.report import (
    build_scorecard,
    plot_axis_layers,
    plot_capability,
    plot_capping,
    plot_case_studies,
    plot_comparison,
    plot_drift,
    plot_drift_predictions,
    plot_features,
    plot_finetuning,
    plot_harm,
    plot_harm_link,
    plot_heldout_roles,
    plot_judges,
    plot_layer_choice,
    plot_layer_sweep,
    plot_model_comparison,
    plot_monitoring,
    plot_persona_space,
    plot_role_cosines,
    plot_role_loadings,
    plot_screening,
    plot_separation,
    plot_steering,
    plot_susceptibility,
    plot_tokens,
    plot_trait_geometry,
    plot_trait_positions,
    plot_trait_space,
    write_report,
)

from personae.data import tables
from personae.report.scorecard.evidence import SCHEMA_OF
from personae.workflow.stages.registry import STAGES, figure_names

from .assistant_axis import case_tables, harm_link_tables, harm_tables, speaker_tables
from .axis import axis_tables, separation_tables, space_tables
from .basics import JUDGES, MIDDLE, ROLES, TRAITS, Planted
from .conversations import capping_tables, drift_tables, judging_tables
from .monitoring import monitoring_tables
from .shown import shown_tables
from .training import training_tables
from .trait_space import trait_space_tables
from .traits import contrast_tables, steering_tables, trait_tables

PROJECT = Path(__file__).resolve().parents[4]
MODELS = {"good": "Good model", "flat": "Flat model"}
COHERENCE_FLOOR = 50.0
PAGE_SCRIPTS = (
    "vendor/d3.min", "vendor/plot.umd.min", "page_scripts/core", "page_scripts/claims",
    "page_scripts/figures", "page_scripts/responses", "page_scripts/persona_map",
    "page_scripts/explorers", "page_scripts/transcripts",
)  # fmt: skip
"""The page's scripts, in the order of the rule write_report."""
FEWER = "roles.prompts: 5 asked for; 1 has less and is used with what is there: sea_cook 3"

_SCHEMAS = {
    "traits/*/vectors": "trait_vectors",
    "traits/*/pairs": "trait_pairs",
    "traits/*/*/responses": "trait_responses",
    "roles/*/responses": "role_responses",
    "monitoring/*/correlations": "monitoring",
    "monitoring/*/points": "monitoring_points",
    "monitoring/*/alerts": "monitoring_alerts",
    "steering/*/*/responses": "steered_responses",
    "steering/*/*/effects": "steering_effects",
    "susceptibility/shares": "speaker_shares",
    "harm/rates": "harm_rates",
    "harm/link/points": "harm_link_points",
    "harm/link/link": "harm_link",
    "cases/turns": "case_turns",
    "cases/effects": "case_effects",
    "cases/tokens": "token_projections",
    "shown/tokens": "shown_tokens",
    "steering/*/layer_sweep/choice": "layer_choices",
    "traits/pair_cosines": "trait_pair_cosines",
    "traits/positions": "trait_positions",
    "reading/tokens": "vector_tokens",
    "reading/sae.features": "vector_features",
    "steering/compared_scores": "compared_scores",
    "steering/comparison": "steering_comparison",
    "finetuning/shifts": "finetuning_shifts",
    "finetuning/correlations": "finetuning_correlations",
    "finetuning/defences": "finetuning_defences",
    "screening/summary": "screening",
    "capping/responses": "capped_responses",
    "capping/tradeoff": "capping_tradeoff",
    "capping/costs": "capping_costs",
    "capping/capability_changes": "capability_changes",
    "drift/projections": "drift_projections",
    "drift/summary": "drift_summary",
    "drift/predictions": "drift_predictions",
    "judging/study_pairs": "judge_pairs",
    "judging/study_confusion": "confusion",
}
_PLACES = {
    "role_vectors": "axis/role_vectors",
    "directions": "axis/directions",
    "space_layers": "axis/space_layers",
    "space_coordinates": "axis/space_coordinates",
    "separation": "axis/separation",
    "heldout_roles": "axis/heldout_roles",
    "role_cosines": "axis/cosines",
    "role_loadings": "axis/role_loadings",
    "trait_cosines": "traits/cosines",
    "trait_space_cosines": "trait_space/trait_space_cosines",
    "trait_space_components": "trait_space/trait_space_components",
    "trait_vectors": "traits/{trait}/vectors",
    "trait_pairs": "traits/{trait}/pairs",
    "monitoring": "monitoring/{trait}/correlations",
    "monitoring_alerts": "monitoring/{trait}/alerts",
    "sweep_effects": "steering/{trait}/layer_sweep/effects",
    "steering_effects": "steering/{trait}/alpha_sweep/effects",
    "steered_responses": "steering/{trait}/alpha_sweep/responses",
    "steered_scores": "steering/{trait}/alpha_sweep/scores",
    "speaker_shares": "susceptibility/shares",
    "harm_rates": "harm/rates",
    "harm_link": "harm/link/link",
    "model_comparison": "axis/model_comparison",
    "case_effects": "cases/effects",
    "finetuning_shifts": "finetuning/shifts",
    "finetuning_correlations": "finetuning/correlations",
    "finetuning_defences": "finetuning/defences",
    "screening": "screening/summary",
    "vector_tokens": "reading/tokens",
    "vector_features": "reading/sae.features",
    "trait_pair_cosines": "traits/pair_cosines",
    "layer_choices": "steering/{trait}/layer_sweep/choice",
    "compared_scores": "steering/compared_scores",
    "steering_comparison": "steering/comparison",
    "floors": "capping/floors",
    "capping_costs": "capping/costs",
    "capability_changes": "capping/capability_changes",
    "monitoring_points": "monitoring/{trait}/points",
    "drift": "drift/projections",
    "drift_predictions": "drift/predictions",
    "agreement": "judging/agreement",
    "confusion": "judging/confusion",
    "judge_pairs": "judging/judge_pairs",
    "study_pairs": "judging/study_pairs",
    "study_confusion": "judging/study_confusion",
    "judge_bias": "judging/judge_bias",
    "score_summary": "judging/score_summary",
    "role_responses": "roles/{role}/responses",
    "trait_responses": "traits/{trait}/{polarity}/responses",
    "capped_responses": "capping/responses",
    "capped_scores": "capping/scores",
    "role_scores": "roles/{role}/scores",
    "sweep_responses": "steering/{trait}/layer_sweep/responses",
    "sweep_scores": "steering/{trait}/layer_sweep/scores",
    "space_components": "axis/space_components",
    "capping_tradeoff": "capping/tradeoff",
    "drift_projections": "drift/projections",
    "replays": "drift/replays",
    "shown_tokens": "shown/tokens",
}


@dataclass(frozen=True)
class Study:
    """The folder of a study and its models."""

    folder: Path
    models: Mapping[str, str]

    @property
    def scorecard(self) -> Path:
        """Return the scorecard's path."""
        return self.folder / "scorecard.parquet"

    @property
    def report(self) -> Path:
        """Return the report's path."""
        return self.folder / "report.html"

    def table(self, model: str, place: str) -> str:
        """Return the path of a table by its place under the model's folder."""
        return str(self.folder / model / f"{place}.parquet")

    def figure(self, model: str, name: str) -> str:
        """Return the path of a figure."""
        return str(self.folder / "figures" / model / f"{name}.svg")

    def inputs(self, names: Sequence[str]) -> dict[str, list[str]]:
        """Return the files of every named input, of all models."""
        return {name: [f for m in self.models for f in self._files(m, name)] for name in names}

    def _files(self, model: str, name: str) -> list[str]:
        places = {
            _PLACES[name].format(trait=trait, role=role, polarity=polarity)
            for trait in TRAITS
            for role in [*ROLES, "default"]
            for polarity in ("positive", "negative")
        }
        return sorted(self.table(model, place) for place in places)


def model_tables(plan: Planted) -> dict[str, pa.Table]:
    """Return all tables of a model by their place under its folder."""
    stages = (
        axis_tables,
        space_tables,
        separation_tables,
        trait_tables,
        trait_space_tables,
        contrast_tables,
        steering_tables,
        monitoring_tables,
        training_tables,
        capping_tables,
        drift_tables,
        judging_tables,
        speaker_tables,
        harm_tables,
        harm_link_tables,
        case_tables,
        shown_tables,
    )
    return {place: made for stage in stages for place, made in stage(plan).items()}


def schema_of(place: str) -> str:
    """Return the schema of a table by its place."""
    found = (schema for glob, schema in _SCHEMAS.items() if Path(place).match(glob))
    return next(found, place.rsplit("/", 1)[-1])


def provenance(model: str) -> dict[str, str]:
    """Return provenance as nodes collect it."""
    return {
        "study": "demo",
        "rule": "made_up",
        "wildcards": "{}",
        "seed": "7",
        "config_digest": "c" * 64,
        "code_digest": "d" * 64,
        "versions": '{"python":"3.11","numpy":"2.4"}',
        "time": "2026-01-01T00:00:00+00:00",
        "model": model,
        "revision": "0.1",
        "weights_digest": "e" * 64,
        "dtype": "float32",
        "device": "cpu",
    }


def write_study(folder: Path, models: Mapping[str, float]) -> Study:
    """Write tables and figures of every model, given by name and the strength of its effects."""
    study = Study(folder, {name: MODELS[name] for name in models})
    for model, effect in models.items():
        for place, table in model_tables(Planted(model, effect)).items():
            tables.write(table, study.table(model, place), schema_of(place), provenance(model))
        draw_figures(study, model)
        write_benchmarks(folder / model / "benchmarks")
    return study


def write_benchmarks(folder: Path) -> None:
    """Write one benchmark file per rule as Snakemake does, one of them without a memory reading."""
    head = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
    arms: dict[str, list[str]] = {}
    for stage in STAGES.values():
        if stage.arm != "report":
            arms.setdefault(stage.arm, []).append(stage.rule)
    for rules in arms.values():
        for i, rule in enumerate(rules):
            path = folder / rule / "pirate.tsv" if i else folder / f"{rule}.tsv"
            path.parent.mkdir(parents=True, exist_ok=True)
            memory = "-" if rule == "compute_axis" else f"{100 + i}.5"
            path.write_text(
                f"{head}{3.5 * (i + 1)}\t0:00:03\t{memory}\t0\t0\t0\t0\t0\t0\t1\n", "utf-8"
            )


def draw_figures(study: Study, model: str) -> None:
    """Draw all figures of a model with the scripts' own main functions."""

    def at(place: str) -> str:
        return study.table(model, place)

    def out(name: str) -> dict[str, object]:
        return {"path_out": study.figure(model, name), "provenance": provenance(model)}

    layer = {"middle_layer": MIDDLE}
    judged = {"judge": JUDGES[0], "coherence_floor": COHERENCE_FLOOR}
    plot_persona_space.main(
        coordinates=at("axis/space_coordinates"),
        components=at("axis/space_components"),
        variance_threshold=0.7,
        **layer,
        **out("persona_space"),
    )
    plot_axis_layers.main(table=at("axis/space_layers"), **layer, **out("axis_layers"))
    plot_role_cosines.main(table=at("axis/cosines"), **layer, **out("role_cosines"))
    plot_role_loadings.main(table=at("axis/role_loadings"), **out("role_loadings"))
    plot_model_comparison.main(
        table=at("axis/model_comparison"), model=model, **out("model_comparison")
    )
    plot_separation.main(
        aucs=at("axis/separation"),
        projections=[at(f"roles/{role}/projections") for role in [*ROLES, "default"]],
        **layer,
        **out("separation"),
    )
    plot_trait_geometry.main(
        cosines=at("traits/cosines"),
        pairs=at("traits/pair_cosines"),
        positions=at("traits/positions"),
        **layer,
        **out("trait_geometry"),
    )
    plot_trait_space.main(
        **{
            name: at(f"trait_space/trait_space_{name}")
            for name in ("cosines", "components", "plane")
        },
        **out("trait_space"),
    )
    plot_heldout_roles.main(table=at("axis/heldout_roles"), **out("heldout_roles"))
    for module, name, stage in (
        (plot_layer_sweep, "layer_sweep", "layer_sweep"),
        (plot_steering, "steering", "alpha_sweep"),
    ):
        effects = [at(f"steering/{trait}/{stage}/effects") for trait in TRAITS]
        module.main(effects=effects, **judged, **out(name))
    plot_monitoring.main(
        points=[at(f"monitoring/{trait}/points") for trait in TRAITS],
        correlations=[at(f"monitoring/{trait}/correlations") for trait in TRAITS],
        alerts=[at(f"monitoring/{trait}/alerts") for trait in TRAITS],
        **out("monitoring"),
    )
    plot_susceptibility.main(
        table=at("susceptibility/shares"), judge=JUDGES[0], **out("susceptibility")
    )
    plot_capability.main(changes=at("capping/capability_changes"), **out("capability"))
    plot_case_studies.main(
        turns=at("cases/turns"),
        effects=at("cases/effects"),
        tokens=at("cases/tokens"),
        judge=JUDGES[0],
        **out("case_studies"),
    )
    plot_harm.main(table=at("harm/rates"), judge=JUDGES[0], **out("harm"))
    plot_harm_link.main(
        points=at("harm/link/points"),
        link=at("harm/link/link"),
        judge=JUDGES[0],
        **out("harm_link"),
    )
    plot_trait_positions.main(
        pairs=at("traits/pair_cosines"), positions=at("traits/positions"), **out("trait_positions")
    )
    plot_layer_choice.main(
        tables=[at(f"steering/{trait}/layer_sweep/choice") for trait in TRAITS],
        **out("layer_choice"),
    )
    plot_comparison.main(table=at("steering/comparison"), **out("comparison"))
    plot_tokens.main(table=at("reading/tokens"), **out("tokens"))
    plot_features.main(tables=[at("reading/sae.features")], **out("features"))
    plot_finetuning.main(
        shifts=at("finetuning/shifts"),
        correlations=at("finetuning/correlations"),
        defences=at("finetuning/defences"),
        **out("finetuning"),
    )
    plot_screening.main(summary=at("screening/summary"), **out("screening"))
    plot_capping.main(table=at("capping/tradeoff"), judge=JUDGES[0], **out("capping"))
    plot_drift_predictions.main(table=at("drift/predictions"), **out("drift_predictions"))
    plot_drift.main(
        projections=at("drift/projections"), summary=at("drift/summary"), **layer, **out("drift")
    )
    plot_judges.main(
        agreement=at("judging/agreement"), confusion=at("judging/confusion"), **out("judges")
    )


def library_card(study: Study) -> str:
    """Write a small library card and return its path."""
    row = {"scope": "library", "n": 12, "n_found": 0, "passed": True, "found": ""}
    rows = [
        {**row, "part": "roles", "check": "entries"},
        {
            **row,
            "part": "trait_space",
            "check": "opposed sides, embedding",
            "n_found": 1,
            "value": 0.75,
            "threshold": 0.7,
            "found": "frugal",
        },
    ]
    path = study.folder / "library_card.parquet"
    tables.write(tables.from_rows(rows, "library_card"), path, "library_card", provenance("all"))
    return str(path)


def score(study: Study) -> None:
    """Build the scorecard of a study."""
    build_scorecard.main(
        inputs=study.inputs(list(SCHEMA_OF)),
        path_out=str(study.scorecard),
        middle_layers=dict.fromkeys(study.models, MIDDLE),
        n_roles=len(ROLES),
        criteria={
            "variance_threshold": 0.7,
            "coherence_floor": COHERENCE_FLOOR,
            "judge": JUDGES[0],
            "second_judge": JUDGES[1],
            "draws": 200,
            "seed": 0,
            "role_rollouts": 25,
        },
        sizes={"roles": len(ROLES)},
        bases={"good": "flat"},
        provenance=provenance("all"),
    )


def write_page(study: Study) -> None:
    """Write the report of a study whose figures and scorecard are there."""
    names = [
        "role_responses", "trait_responses", "steered_responses", "steered_scores",
        "steering_effects", "capped_responses", "capped_scores", "replays", "agreement",
        "confusion", "judge_pairs", "study_pairs", "study_confusion", "judge_bias", "score_summary",
        "role_scores", "sweep_responses", "sweep_scores", "sweep_effects", "space_coordinates",
        "space_components", "role_vectors", "directions", "capping_tradeoff", "drift_projections",
        "shown_tokens", "trait_vectors",
    ]  # fmt: skip
    write_report.main(
        inputs={
            "page": [str(PROJECT / "scripts/personae/report/page.html.j2")],
            "style": [str(PROJECT / "scripts/personae/report/page.css")],
            "scripts": [
                str(PROJECT / f"scripts/personae/report/{name}.js") for name in PAGE_SCRIPTS
            ],
            "captions": [str(PROJECT / f"rules/report/plot_{name}.rst") for name in figure_names()],
            "figures": [
                study.figure(model, name) for model in study.models for name in figure_names()
            ],
            "scorecard": [str(study.scorecard)],
            "library_card": [library_card(study)],
            **study.inputs(names),
        },
        path_out=str(study.report),
        benchmarks=[study.folder / model / "benchmarks" for model in study.models],
        settings={
            "title": "A made-up study",
            "models": study.models,
            "roles": ROLES,
            "traits": TRAITS,
            "fewer_than_asked": [FEWER],
            "judges": JUDGES,
            "transcripts": 6,
            "coherence_floor": COHERENCE_FLOOR,
            "middle_layers": dict.fromkeys(study.models, MIDDLE),
            "descriptions": {role: f"One who lives as a {role} does." for role in ROLES},
        },
        provenance=provenance("all"),
    )
