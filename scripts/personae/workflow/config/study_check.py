"""Checks of a study against the library and the model table, before any job starts."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from personae.base.errors import PersonaeError
from personae.base.strict_yaml import read_yaml
from personae.base.validation_messages import did_you_mean
from personae.data.model_table import read_models
from personae.data.table_values import DEFAULT
from personae.inference.model_config import ModelShape
from personae.inference.model_folder import folder_problem
from personae.personas.library import load_library
from personae.workflow.config.assistant_axis_check import (
    check_assistant_axis,
    unknown_personas,
)
from personae.workflow.config.endpoint_check import check_endpoints, undraftable, unknown_endpoints
from personae.workflow.config.experiment_sections import CapSetting
from personae.workflow.config.extended_study import extended, label
from personae.workflow.config.shortfalls import unmet
from personae.workflow.config.simulation_check import check_simulated, unknown_domains
from personae.workflow.config.study import Study, expand
from personae.workflow.config.study_config import ConfigError, load_config
from personae.workflow.config.training_plan import check_reading, check_training

_LEAST_ROLES: Final = 2


def load_study(config: Mapping[str, Any], base: Path, sources: Sequence[str | Path] = ()) -> Study:
    """Return the checked study that ``config`` describes.

    Parameters
    ----------
    config
        Content of the study's configuration.
    base
        Project root, to which the paths in it are relative.
    sources
        The files that ``config`` was read from: messages name the last one, and a key that
        occurs twice in one of them, which ``config`` cannot show, is refused.

    Raises
    ------
    ConfigError
        One line per problem: file, place, value and remedy.
    """
    try:
        contents = [read_yaml(base / path, str(path)) for path in sources]
        file = str(sources[-1]) if sources else "config"
        source = label(file, contents[-1] if sources else config)
        parsed = load_config(extended(config, base, file), source)
        table = parsed.model_table
        models = read_models(base / table, table)
        study = Study(parsed, load_library(parsed.library, base), models, base)
    except ConfigError:
        raise
    except PersonaeError as error:
        raise ConfigError(str(error).splitlines()) from None
    if problems := check_study(study):
        raise ConfigError([f"{source}: {problem}" for problem in problems])
    return study


def check_study(study: Study) -> list[str]:
    """Return one line per problem: place, value and remedy."""
    names = list(_names(study))
    # Counts and layers can only be checked for things that exist.
    return names or [
        *_models(study),
        *_counts(study),
        *_layers(study),
        *_floors(study),
        *check_endpoints(study),
        *check_simulated(study),
        *check_assistant_axis(study),
        *check_training(study),
        *check_reading(study),
    ]


def _names(study: Study) -> Iterator[str]:
    """Report names that are neither in the library nor in the model table."""
    config, library = study.config, study.library
    table = f"in {config.model_table}"
    chat = [name for name, row in study.models.items() if row.kind == "chat"]
    embedders = [name for name, row in study.models.items() if row.kind == "embedder"]
    yield from _unknown("models", config.models, chat, "chat model", table)
    yield from _unknown("embedder", [config.embedder], embedders, "embedder", table)
    traits = [*library.traits, *config.traits.described]
    choices = (
        ("roles.names", config.roles.names, library.roles, "role"),
        ("traits.names", config.traits.names, traits, "trait"),
        ("capping.roles", config.capping.roles, library.roles, "role"),
        ("capping.conversations", config.capping.conversations, library.jailbreak, "conversation"),
        ("drift.conversations", config.drift.conversations, library.drift, "conversation"),
    )
    for place, names, known, what in choices:
        if names != "all":
            yield from _unknown(place, names, known, what, "in the library")
    yield from unknown_endpoints(study)
    yield from undraftable(study)
    yield from unknown_domains(study)
    yield from unknown_personas(study)
    for index, source in enumerate(config.published):
        if source.model not in config.models:
            here = did_you_mean(source.model, config.models)
            yield f"published[{index}].model: {source.model!r} is not in models{here}; add it"
    if isinstance(space := config.trait_space.names, list):
        where = "in the trait space"
        yield from _unknown("trait_space.names", space, library.trait_space, "trait", where)


def _unknown(
    place: str, names: Sequence[str], known: Collection[str], what: str, where: str
) -> Iterator[str]:
    for index, name in enumerate(names):
        at = place if place == "embedder" else f"{place}[{index}]"
        if name in known:
            continue
        if name == DEFAULT:
            yield f"{at}: {name!r} is the default Assistant, which is always there; remove it"
        else:
            yield f"{at}: no {what} {name!r} {where}{did_you_mean(name, known)}"


def _models(study: Study) -> Iterator[str]:
    for index, source in enumerate(study.config.published):
        if not all(path.is_file() for path in source.files(study.base) or [Path("missing")]):
            yield (
                f"published[{index}].path: no .pt, .safetensors or .gguf file at {source.path!r}; "
                "put it there or correct the path"
            )
    for name in (*study.config.models, study.config.embedder):
        row = study.models[name]
        place = f"{study.config.model_table}: {name}"
        if row.chat_template and not (study.base / row.chat_template).is_file():
            yield f"{place}: chat_template: no file {row.chat_template!r}; correct the path"
        elif row.source == "folder":
            stated, is_chat = ModelShape("", row.n_layers, row.hidden_size), row.kind == "chat"
            folder = study.base / row.id
            engine = study.config.engine.kind
            problem = folder_problem(
                folder, repr(row.id), stated, is_chat, row.chat_template, engine
            )
            if problem:
                yield f"{place}: {problem}"


def _counts(study: Study) -> Iterator[str]:
    """Report counts that exceed what the library has."""
    config, library = study.config, study.library
    roles, capping = config.roles, config.capping
    heldout = len(study.heldout_questions)
    there = len(expand(roles.names, library.roles))
    limits = [
        ("roles.count", roles.count, there),
        ("roles.questions.extraction", roles.questions.extraction, len(library.extraction)),
        ("roles.questions.heldout", roles.questions.heldout, len(library.heldout)),
        ("capping.questions", capping.questions, heldout),
        ("capping.neutral_questions", capping.neutral_questions, heldout),
        ("capping.closed_answers", capping.closed_answers, len(library.closed)),
    ]
    yield from _too_many(limits, "there are")
    if len(study.role_names) < _LEAST_ROLES:
        yield (
            f"roles.names: the study takes 1 role ({study.role_names[0]}); name {_LEAST_ROLES} at "
            "least, as the axis compares several roles with the default Assistant"
        )
    yield from unmet(study)
    yield from _space_counts(study)
    rollouts = roles.prompts * len(study.extraction_questions) * roles.samples
    for place, least in (("fully", roles.min_fully), ("somewhat", roles.min_somewhat)):
        yield from _too_many([(f"roles.min_{place}", least, rollouts)], "a role's responses are")


def _space_counts(study: Study) -> Iterator[str]:
    if not study.space:
        return
    asked, library = study.config.trait_space, study.library
    named = len(library.trait_space) if asked.names == "all" else len(asked.names)
    limits = [
        ("trait_space.pairs", asked.pairs, len(library.trait_space_templates)),
        ("trait_space.count", asked.count, named),
    ]
    yield from _too_many(limits, "there are")
    limits = [("trait_space.questions", asked.questions, len(study.extraction_questions))]
    yield from _too_many(limits, "roles answer")


def _too_many(limits: Sequence[tuple[str, int | None, int]], holder: str) -> Iterator[str]:
    for place, asked, there in limits:
        if asked is not None and asked > there:
            yield f"{place}: {asked} is too many, {holder} {there}; lower it or add more"


def _layers(study: Study) -> Iterator[str]:
    """Layers and bands that a model of the study does not have."""
    sweep, capping = study.config.layer_sweep, study.config.capping
    for name in study.config.models:
        n_layers = study.models[name].n_layers
        fits = f"{name} has layers 0 to {n_layers - 1}"
        if isinstance(sweep.layers, int) and sweep.layers >= n_layers:
            yield f"layer_sweep.layers: {sweep.layers} is too many, {fits}; lower it"
        for index, layer in enumerate(sweep.layers if isinstance(sweep.layers, list) else []):
            if layer >= n_layers:
                yield f"layer_sweep.layers[{index}]: {layer} is out of range, {fits}; lower it"
        for index, layer in enumerate(study.config.activations.layers or []):
            if layer >= n_layers:
                yield f"activations.layers[{index}]: {layer} is out of range, {fits}; lower it"
        for index, band in enumerate(capping.bands or []):
            if band.last >= n_layers:
                yield f"capping.bands[{index}]: {band} is out of range, {fits}; lower it"
        if not study.bands(name):
            table = study.config.model_table
            yield f"capping.bands: null, but {table} has none for {name}; give them in either"
            continue
        for place, cap in _caps(study).items():
            if cap.band >= (count := len(study.bands(name))):
                fits = f"{name} has bands 0 to {count - 1}"
                yield f"{place}.cap.band: {cap.band} is out of range, {fits}"


def _caps(study: Study) -> dict[str, CapSetting]:
    """Return the single caps that a study uses, by section."""
    config = study.config
    caps = {"drift": config.drift.cap, "capability": config.capability.cap}
    return caps | ({"cases": config.cases.cap} if config.cases is not None else {})


def _floors(study: Study) -> Iterator[str]:
    """Floors that are used but not calibrated."""
    capping = study.config.capping
    used: list[tuple[str, object, Sequence[object]]] = [
        ("capping.evaluated.pool", capping.evaluated.pool, capping.pools),
        ("capping.evaluated.reading", capping.evaluated.reading, capping.readings),
    ]
    for section, cap in _caps(study).items():
        used += [
            (f"{section}.cap.pool", cap.pool, capping.pools),
            (f"{section}.cap.reading", cap.reading, capping.readings),
            (f"{section}.cap.percentile", cap.percentile, capping.percentiles),
        ]
    for place, value, calibrated in used:
        if value not in calibrated:
            choices = ", ".join(map(str, calibrated))
            yield f"{place}: {value} is not calibrated; choose from capping's {choices}, or add it"
