"""Collect the content of the report page from a study's files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from personae.data.data_frames import read_frame
from personae.report.browsable_responses import MOST, browsable_responses
from personae.report.embedded_data import EmbeddedData, embed, embed_within
from personae.report.embedded_figures import load_captions, load_figure
from personae.report.explorer_data import (
    capping_grid,
    steering_grid,
    turn_projections_on_axis,
)
from personae.report.judge_quality import read_judges
from personae.report.node_timings import collect_timings
from personae.report.page import ModelPart, Report
from personae.report.persona_map_data import persona_map
from personae.report.run_facts import model_facts, rollout_counts
from personae.report.scorecard.evidence import files_of_model
from personae.report.shown_transcripts import (
    ArmComparison,
    ShownScores,
    capped,
    replayed,
    steered,
    take_turns,
)
from personae.report.token_shading import token_shading
from personae.workflow.stages.registry import report_kinds

Files = Mapping[str, Sequence[str]]
"""Maps the name of an input to its files."""

_RESPONSE_BYTES: Final = 14_000_000
"""Room for the responses of all models in the page, compressed: pages stay below 25 MB."""

_RESPONSES: Final = ("steered_responses", "capped_responses", "replays", "simulated")
"""Inputs whose provenance the page lists."""


@dataclass(frozen=True)
class ReportSettings:
    """Settings of the study that the report depends on.

    Attributes
    ----------
    title
        Title of the report.
    models
        Maps names in the model table to display names.
    roles, traits
        Personas of the study; roles without the default Assistant.
    fewer_than_asked
        One line per setting that some personas cannot meet.
    judges
        Primary judge, then the second judge and sampled judges, if any.
    transcripts
        Maximum number of transcripts per model.
    coherence_floor
        Minimum mean coherence (0-100) of the coefficient shown in steered transcripts.
    middle_layers
        Layer by model at which persona space and projections are shown.
    descriptions
        What each role and trait is, in a sentence.
    """

    title: str
    models: Mapping[str, str]
    roles: Sequence[str]
    traits: Sequence[str]
    fewer_than_asked: Sequence[str]
    judges: Sequence[str]
    transcripts: int
    coherence_floor: float
    middle_layers: Mapping[str, int]
    descriptions: Mapping[str, str]


def assemble(
    inputs: Files,
    study_folder: Path,
    benchmarks: Sequence[Path],
    settings: ReportSettings,
    provenance: Mapping[str, str],
) -> Report:
    """Read all content of the page.

    Parameters
    ----------
    inputs
        Files of all models by input name: captions, figures, scorecard, and tables.
    study_folder
        Folder with one subfolder per model.
    benchmarks
        Folders of benchmark files.
    provenance
        Provenance of the page itself.
    """
    captions = load_captions(inputs["captions"])
    parts = [
        _model_part(name, files_of_model(inputs, study_folder, name), captions, settings)
        for name in settings.models
    ]
    return Report(
        title=settings.title,
        models=parts,
        scorecard=read_frame(inputs["scorecard"], "scorecard"),
        timings=collect_timings(benchmarks),
        rollouts=rollout_counts(inputs),
        library=read_frame(inputs["library_card"], "library_card"),
        roles=settings.roles,
        traits=settings.traits,
        fewer_than_asked=settings.fewer_than_asked,
        judges=settings.judges,
        provenance=provenance,
    )


def _model_part(
    name: str, files: Files, captions: Mapping[str, str], settings: ReportSettings
) -> ModelPart:
    kinds = report_kinds()
    return ModelPart(
        name=name,
        display_name=settings.models[name],
        figures={Path(path).stem: load_figure(path, captions) for path in files["figures"]},
        transcripts=_transcripts(files, settings),
        judges=read_judges(files),
        data=_data(name, files, settings),
        facts=model_facts(
            (path, kinds[input_]) for input_ in _RESPONSES for path in files.get(input_, ())
        ),
    )


def _data(name: str, files: Files, settings: ReportSettings) -> list[EmbeddedData]:
    """Return the data of the interactive parts of one model."""
    layer, judge = settings.middle_layers[name], settings.judges[0]
    turns = turn_projections_on_axis(files, layer)
    return [
        embed(f"{name}-map", persona_map(files, layer, settings.descriptions)),
        embed(f"{name}-steering", {"cells": steering_grid(files, judge)}),
        embed(f"{name}-capping", {"cells": capping_grid(files, judge)}),
        embed_within(
            f"{name}-responses",
            lambda most: browsable_responses(files, turns, most),
            most=MOST,
            limit=_RESPONSE_BYTES // len(settings.models),
        ),
        embed(f"{name}-tokens", token_shading(files)),
    ]


def _transcripts(files: Files, settings: ReportSettings) -> list[ArmComparison]:
    shared = ["response_id", "messages", "system_inserted", "response", "question_id"]
    arm = [*shared, "direction", "band", "percentile", "suite", "subject", "turn"]
    answers = read_frame(files["capped_responses"], "capped_responses", arm)
    held = ShownScores(read_frame(files["capped_scores"], "scores"))
    step = [*shared, "trait", "direction", "coefficient"]
    primary = [("judge", "==", settings.judges[0])]
    groups = [
        steered(
            read_frame(files["steered_responses"], "steered_responses", step),
            ShownScores(read_frame(files["steered_scores"], "scores")),
            read_frame(files["steering_effects"], "steering_effects", filters=primary),
            settings.coherence_floor,
        ),
        capped(answers, held, "roles", "Capping, role prompt"),
        capped(answers, held, "jailbreak", "Capping, persona jailbreak"),
        replayed(read_frame(files["replays"], "replays")),
    ]
    return take_turns(groups, settings.transcripts)
