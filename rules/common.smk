"""Shared by all rules: the checked study, targets, input functions, params and code digests.

This is the only rule file that defines functions. Every Snakemake process reads it, so it imports
nothing heavy.
"""

import atexit
import os
import sys
from collections import Counter
from functools import cache
from inspect import signature
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "scripts"))

from personae.workflow import node_params, snakemake_internals
from personae.inference.client import claim_ownership
from personae.workflow.claim_sizes import claim_sizes
from personae.workflow.cluster import finished_nodes, head_process, resources
from personae.workflow.config import training_plan
from personae.workflow.config import (
    check_ready,
    extend_in_place,
    fewer_than_asked,
    load_study,
    shortfalls,
)
from personae.data.integrity import missing_tables
from personae.base.errors import PersonaeError
from personae.base.thread_waiting import waiting_asleep
from personae.workflow.estimate import estimate_study, node_key, node_seconds
from personae.workflow.estimate.estimate_table import render
from personae.judging.judge_types import OFFLINE
from personae.data.table_values import DEFAULT
from personae.personas.library import library_digest
from personae.workflow.code_digest import code_digest, cover_engine
from personae.workflow.damaged_results import clear_damage
from personae.workflow.drafting_run import drafted, early_targets, to_draft
from personae.workflow.package_path import use_package_of
from personae.workflow.progress import run_context, run_figures
from personae.workflow.requested_targets import command_line, target_problems
from personae.workflow.stages import persona_parts, registry
from personae.base.strict_yaml import restore_types

use_package_of(ROOT / "scripts")
os.environ.update(waiting_asleep(os.environ))
try:
    restore_types(config, workflow.config_settings.config)
    extend_in_place(config, ROOT, workflow.configfiles)
    study = load_study(config, ROOT, sources=workflow.configfiles)
except PersonaeError as error:
    raise WorkflowError(str(error)) from None

validate(config, str(ROOT / "config" / "schema.json"))

cover_engine(study.config.engine.kind)
STUDY_NAME = study.config.study
MODELS = study.model_names
ROLES = [*study.role_names, DEFAULT]
TRAITS = study.trait_names
# Traits of the trait space have vectors but are not steered.
SPACE = study.space_names
POLARITIES = ["positive", "negative"]
ADAPTERS = training_plan.adapters(study)
DATASETS = training_plan.datasets(study)
AUTOENCODERS = {source.name: source for source in study.config.reading.autoencoders}
CORPORA = training_plan.corpora(study)


wildcard_constraints:
    study=STUDY_NAME,
    model="[a-z0-9_]+",
    role="|".join(ROLES),
    trait="|".join(TRAITS + SPACE),
    polarity="|".join(POLARITIES),
    part="part[0-9]+",
    adapter="|".join(ADAPTERS) or "none",
    corpus="|".join(CORPORA) or "none",
    autoencoder="|".join(AUTOENCODERS) or "none",


# Model servers that nodes start will end with this process.
claim_ownership()

# This runs before jobs are planned, since Snakemake checks only whether a file exists.
if workflow.is_main_process:
    try:
        head_process.require_writable(Path(".snakemake"))
        for line in clear_damage(
            Path(), Path("results") / STUDY_NAME, is_dry=command_line().is_dry
        ):
            print(f"note: {line}", file=sys.stderr)
    except PersonaeError as error:
        raise WorkflowError(str(error)) from None


onstart:
    try:
        head_process.claim_results(Path("results"))
        if problems := check_ready(study):
            raise WorkflowError("\n".join(problems))
        if head_process.cancel_leftovers():
            # Those jobs deleted their outputs when they ended, so files must be checked again.
            snakemake_internals.start_again(workflow)
        reused = snakemake_internals.reused_jobs(workflow)
        run_context.begin(
            run_context.RunContext(study, reused, workflow.local_exec)
        )
    except PersonaeError as error:
        raise WorkflowError(str(error)) from None


onsuccess:
    finished_nodes.forget(Path("results") / STUDY_NAME)
    if DRAFTS:
        print(f"note: {drafted(study)}", file=sys.stderr)


def start_with_targets():
    """Reject targets that no rule makes; print what personas lack, and the cost for a dry run."""
    if not workflow.is_main_process:
        return
    asked, names = command_line(), [rule.name for rule in workflow.rules]
    if problems := target_problems(
        asked.targets,
        names,
        is_made,
        study_targets,
    ):
        raise WorkflowError("\n".join(problems))
    if problems := early_targets(study, set(asked.targets) - set(DRAFTS), names):
        raise WorkflowError("\n".join(problems))
    if asked.is_quiet:
        return
    if DRAFTS:
        print(f"note: {to_draft(study)}", file=sys.stderr)
        return
    for line in shortfalls(study):
        print(f"note: {line}", file=sys.stderr)
    if asked.is_dry:
        atexit.register(print_estimate)


def print_estimate():
    """Print what the planned jobs cost; a plan that failed has no cost."""
    if workflow.dag is not None:
        planned = snakemake_internals.planned_nodes(workflow)
        left = {node_key(rule, wildcards) for rule, wildcards in planned}
        print(render(estimate_study(study, left=left)), file=sys.stderr)
        jobs = Counter(rule for rule, _ in planned)
        print(run_figures.wall_clock(study, jobs), file=sys.stderr)


def shipped(path):
    """Return the path of a project file from the working directory (see `--directory`)."""
    return os.path.relpath(ROOT / path)


# Traits that the study describes and the library lacks are drafted first. Everything else about a
# trait depends on what is in its file, so such a run makes the drafts alone.


def library_trait(name):
    """Return the path of a trait's file, from the working directory."""
    return shipped(f"{study.config.library.traits}/{name}.yaml")


def described_trait(wildcards):
    return study.config.traits.described[wildcards.drafted]


DRAFTS = [library_trait(name) for name in study.undrafted]


# Functions that use the registry of stages.


def files_of(stage, patterns, *models, trait_space=True):
    """Return the files of all nodes of a stage for these models, one or more per node."""
    patterns = [patterns] if isinstance(patterns, str) else list(patterns)
    if stage.only_if is not None and not stage.only_if(study):
        return []
    if stage.per == "study":
        return [str(pattern).format(study=STUDY_NAME) for pattern in patterns]
    return [
        str(pattern).format(study=STUDY_NAME, **wildcards)
        for model in models
        for wildcards in registry.nodes(stage, study, model, trait_space=trait_space)
        for pattern in patterns
    ]


def output_of(stage, name):
    """Return the path of an output, with wildcards; a single output has no name."""
    written = getattr(rules, stage.rule).output
    return written[name] if name else written[0]


def targets(wanted):
    """Return the files of all models' outputs for which ``wanted(stage, output)`` is true."""
    if DRAFTS:
        return DRAFTS
    return [
        path
        for stage, name, output in registry.outputs()
        if wanted(stage, output)
        for path in files_of(stage, output_of(stage, name), *MODELS)
    ]


def study_targets():
    """Return the targets of a study: report, scorecard, personas' tables, and damaged tables."""
    if DRAFTS:
        return DRAFTS
    again = [str(path) for path in missing_tables(Path("results") / STUDY_NAME)]
    return [
        *targets(lambda stage, output: output.study_target),
        *(path for path in again if is_made(path)),
    ]


def is_made(path):
    """Return whether a rule makes a file of this name."""
    return any(output.match(path) for rule in workflow.rules for output in rule.output)


def arm_targets(arm):
    """Return the tables that `snakemake <arm>` makes, for all models of the study."""
    return targets(lambda stage, output: output.arm_target and stage.arm == arm)


def read_by(reader):
    """Inputs of ``scorecard`` or ``report``: name to files of all models.

    Traits of the trait space have vectors but are not steered: neither reads them.
    """

    def files(wildcards):
        found = {}
        for stage, name, output in registry.outputs():
            if key := getattr(output, reader):
                found.setdefault(key, []).extend(
                    files_of(stage, output_of(stage, name), *MODELS, trait_space=False)
                )
        return found

    return files


def judged_tables(wildcards):
    """Return all judged responses of a model and their scores, by name in the score summary."""
    found = {}
    for stage in registry.STAGES.values():
        if name := stage.score_summary:
            judged = getattr(rules, stage.rule)
            found[name] = files_of(stage, judged.output[0], wildcards.model)
            found[f"{name}_responses"] = files_of(
                stage, judged.input.responses, wildcards.model
            )
    return found


def batch_group(rule):
    """Return the nodes of a model that share a batch job, see `Stage`."""
    group = registry.STAGES[rule].group_of(
        study.config.judging.needs_model, not study.keeps_activations
    )
    return f"{group}_{{model}}"


def from_study(record):
    """Return a params function that calls ``record(study, ...)`` with the wildcards it names."""
    names = list(signature(record).parameters)[1:]
    made = cache(lambda *values: record(study, *values))

    def of_node(wildcards):
        return made(*(wildcards[name] for name in names))

    return of_node


def model_manifest(wildcards):
    snakemake_internals.keep_group_going(workflow)
    return f"results/models/{wildcards.model}/manifest.json"


EMBEDDER_MANIFEST = f"results/models/{study.config.embedder}/manifest.json"


def judge_models(wildcards):
    """Return the models of offline judges; judges behind endpoints need none.

    Nodes that judge read the calibration, which depends on them: an edge to each model from every
    persona would only make plans slower.
    """
    if not any(name in OFFLINE for name in study.config.judging.names):
        return []
    return [
        model_manifest(wildcards),
        f"results/models/{study.config.embedder}/manifest.json",
    ]


# The library card uses the embedder, and the study's first model if a judge uses the model.
CARD_MODEL = study.models[
    MODELS[0] if study.config.judging.needs_model else study.config.embedder
]


def card_models():
    names = {CARD_MODEL.name, study.config.embedder}
    return [f"results/models/{name}/manifest.json" for name in sorted(names)]


def card_memory(wildcards, attempt):
    return resources.memory_mb(CARD_MODEL, attempt)


def published_sources(wildcards):
    return [
        s.model_dump() for s in study.config.published if s.model == wildcards.model
    ]


def published_files(wildcards):
    return [
        str(path)
        for source in study.config.published
        if source.model == wildcards.model
        for path in source.files()
    ]


DEFAULT_SUMS = f"results/{{study}}/{{model}}/roles/{DEFAULT}/sums.parquet"


def role_files(name):
    return [f"results/{{study}}/{{model}}/roles/{role}/{name}" for role in ROLES]


def link_files(name):
    """Tables of the roles whose responses are first turns before a harmful request."""
    record = node_params.harm_link(study)
    roles = record["roles"] if record else []
    return [f"results/{{study}}/{{model}}/roles/{role}/{name}" for role in roles]


def trait_files(name):
    return [f"results/{{study}}/{{model}}/traits/{trait}/{name}" for trait in TRAITS]


def monitoring_files(name):
    folder = "results/{study}/{model}/monitoring"
    return [f"{folder}/{trait}/{name}" for trait in TRAITS]


def layer_choices():
    folder = "results/{study}/{model}/steering"
    return [f"{folder}/{trait}/layer_sweep/effects.parquet" for trait in TRAITS]


def comparison_files(name):
    folder = "results/{study}/{model}/steering"
    return [f"{folder}/{trait}/comparison/{name}" for trait in TRAITS]


def partner_files(wildcards):
    """Vectors and layer of the trait that is steered together with this one, if there is one."""
    trait = node_params.partner(study, wildcards.trait)
    if trait is None:
        return {}
    at = f"results/{wildcards.study}/{wildcards.model}"
    return {
        "partner": [
            f"{at}/traits/{trait}/vectors.parquet",
            f"{at}/steering/{trait}/layer_sweep/effects.parquet",
        ]
    }


def residual_lengths(wildcards):
    """Where doses of the layer sweep are shares of the residual stream's length: these lengths."""
    if study.config.layer_sweep.units == "vector":
        return {}
    return {"default": DEFAULT_SUMS.format(**wildcards)}


def choice_files():
    folder = "results/{study}/{model}/steering"
    return [f"{folder}/{trait}/layer_sweep/choice.parquet" for trait in TRAITS]


def training_vectors(wildcards):
    """Vector and layer of the trait, for an adapter that is trained with either."""
    adapter = ADAPTERS[wildcards.adapter]
    if adapter.arm == training_plan.PLAIN:
        return {}
    at = f"results/{wildcards.study}/{wildcards.model}"
    return {
        "vectors": f"{at}/traits/{adapter.trait}/vectors.parquet",
        "layer": f"{at}/steering/{adapter.trait}/layer_sweep/effects.parquet",
    }


def trained_adapters(wildcards):
    """The adapters of one trait's training data."""
    folder = f"results/{wildcards.study}/{wildcards.model}/finetuning/adapters"
    return [
        f"{folder}/{name}" for name in training_plan.adapters_of(study, wildcards.trait)
    ]


def finetuning_files(name):
    folder = "results/{study}/{model}/finetuning"
    return [f"{folder}/{trait}/{name}" for trait in training_plan.trained_traits(study)]


def screening_files(name):
    return [
        f"results/{{study}}/{{model}}/screening/{corpus}/{name}" for corpus in CORPORA
    ]


def both_sides(name):
    """A table of both polarities of every trait, in this order."""
    return [
        f"results/{{study}}/{{model}}/traits/{trait}/{polarity}/{name}"
        for trait in TRAITS
        for polarity in POLARITIES
    ]


def autoencoder_files(wildcards):
    """The local files of an autoencoder: weights and names of features."""
    source = AUTOENCODERS[wildcards.autoencoder]
    files = {"weights": source.path, "names": source.names}
    return {key: str(study.base / path) for key, path in files.items() if path}


def feature_files(wildcards):
    """Tables of features of the autoencoders of one model."""
    folder = f"results/{wildcards.study}/{wildcards.model}/reading"
    return [
        f"{folder}/{name}.features.parquet"
        for name, source in AUTOENCODERS.items()
        if source.model == wildcards.model
    ]


def autoencoder_source(wildcards):
    return AUTOENCODERS[wildcards.autoencoder].model_dump()


def screened_file(wildcards):
    """The file of a user that is screened; none for training data of the library."""
    return {
        "source": str(study.base / file.path)
        for file in study.config.screening.files
        if file.name == wildcards.corpus
    }


def caused_shifts(wildcards):
    """What training on the data caused, where there is training."""
    if not ADAPTERS:
        return {}
    at = f"results/{wildcards.study}/{wildcards.model}"
    return {"shifts": f"{at}/finetuning/shifts.parquet"}


# Each projection job covers several personas, see `persona_parts`.
ROLE_PARTS = persona_parts.role_parts(study)
TRAIT_PARTS = persona_parts.trait_parts(study)
_PROJECTIONS = "results/{{study}}/{{model}}/projections"
ROLE_PROJECTIONS = expand(f"{_PROJECTIONS}/roles/{{part}}.parquet", part=ROLE_PARTS)
TRAIT_PROJECTIONS = expand(f"{_PROJECTIONS}/traits/{{part}}.parquet", part=TRAIT_PARTS)
# Read them with `personae.science.space_vectors.load_space_vectors`.
SPACE_VECTORS = expand(
    "results/{{study}}/{{model}}/trait_space/{part}.parquet", part=TRAIT_PARTS
)
SPACE_SUMS = expand(
    "results/{{study}}/{{model}}/trait_space/{part}_sums.parquet", part=TRAIT_PARTS
)


def role_part(wildcards):
    """Return the roles of a part."""
    return ROLE_PARTS[wildcards.part]


def trait_part(wildcards):
    """The traits of a part."""
    return TRAIT_PARTS[wildcards.part]


def role_part_files(name):
    """Return an input function: one file for every role of a part."""

    def files(wildcards):
        folder = f"results/{wildcards.study}/{wildcards.model}/roles"
        return [f"{folder}/{role}/{name}" for role in role_part(wildcards)]

    return files


def trait_part_files(name):
    """Return an input function: one file for every trait of a part and polarity."""

    def files(wildcards):
        folder = f"results/{wildcards.study}/{wildcards.model}/traits"
        return [
            f"{folder}/{trait}/{polarity}/{name}"
            for trait in TRAIT_PARTS[wildcards.part]
            for polarity in POLARITIES
        ]

    return files


def trait_side_files(name):
    """Input files of a trait, one for every polarity."""
    folder = "results/{study}/{model}/traits/{trait}"
    return [f"{folder}/{polarity}/{name}" for polarity in POLARITIES]


def where_kept(files):
    """Activations, in a study that keeps them; in another one the model reads the rollouts."""
    return files if study.keeps_activations else []


role_activations = where_kept(
    "results/{study}/{model}/roles/{role}/activations.parquet"
)


def role_scores(wildcards):
    """Return the scores of a role; the default Assistant is not judged for role adherence."""
    if wildcards.role == DEFAULT:
        return []
    return f"results/{wildcards.study}/{wildcards.model}/roles/{wildcards.role}/scores.parquet"


def model_row(wildcards):
    # Which model is whose base changes no weights.
    return study.models[wildcards.model].model_dump(mode="json", exclude={"base"})


def middle_layer(wildcards):
    return study.models[wildcards.model].middle_layer


# Snakemake evaluates a resource function for every job, so a resource that is the same for all
# models of the study is a constant.


def for_model(resource):
    """Return a resource of a model's nodes: a constant, or a function of the wildcards."""
    found = {name: resource(study.models[name]) for name in MODELS}

    def of_node(wildcards):
        return found[wildcards.model]

    return of_node if len(set(found.values())) > 1 else found[MODELS[0]]


model_gres = for_model(resources.gpu_request)
model_partition = for_model(resources.partition)


def endpoint_generates(row):
    """Return one slot if the model's plain responses come from an endpoint."""
    return int(row.name in study.config.assignments.generators)


generator_slots = for_model(endpoint_generates)


def model_memory(wildcards, attempt):
    return resources.memory_mb(study.models[wildcards.model], attempt)


def model_minutes(wildcards, attempt, rulename):
    return resources.minutes(node_seconds(study, rulename, wildcards), attempt)


def embedder_memory(wildcards, attempt):
    return resources.memory_mb(study.models[study.config.embedder], attempt)


# Judges that do not use the model need no GPU, so they run outside the GPU partition.
JUDGES_ASK_MODEL = study.config.judging.needs_model
EMBEDDER_PARTITION = resources.partition(study.models[study.config.embedder])

judge_gres = model_gres if JUDGES_ASK_MODEL else ""
judge_memory = model_memory if JUDGES_ASK_MODEL else embedder_memory
judge_partition = model_partition if JUDGES_ASK_MODEL else EMBEDDER_PARTITION
judge_minutes = model_minutes
# One slot if a judge is behind an endpoint; profiles set how many such nodes run at once.
judge_slots = int(any(name not in OFFLINE for name in study.config.judging.names))


# Nodes that need activations ask the model where the study does not keep them.
reading_model = [] if study.keeps_activations else model_manifest
reading_resources = (
    {}
    if study.keeps_activations
    else {
        "gres": model_gres,
        "mem_mb": model_memory,
        "runtime": model_minutes,
        "slurm_partition": model_partition,
    }
)


engine_params = from_study(node_params.engine_record)


def judging_params(*kinds):
    """Return the judges of rubrics of these kinds, for one role or trait if the node has one."""

    def of_node(wildcards):
        one = wildcards.get("role") or wildcards.get("trait")
        roles = [one] if one else list(node_params.capping_personas(study))
        targets = {
            "trait": [one] if one else TRAITS,
            "role_adherence": roles,
        }
        asked = (
            node_params.trait_rubrics(study, one) if one in study.space else list(kinds)
        )
        return node_params.judging(
            study, {kind: targets.get(kind, [""]) for kind in asked}
        )

    return of_node


def labelled_answers():
    """Return the labelled set: for calibration, and the embedding judge's examples."""
    return study.library.labelled.model_dump()


def simulated_conversations(wildcards):
    """Return the simulated conversations of a model, if the study has any."""
    if study.simulated is None:
        return []
    return f"results/{wildcards.study}/{wildcards.model}/drift/simulated.parquet"


def simulated_min_samples():
    return study.simulated.min_samples if study.simulated else None


def speaker_unit():
    """Unit of the strengths of steering along the axis."""
    section = study.config.susceptibility
    return section.unit if section else None


def max_accuracy_loss():
    """Largest loss of accuracy of a cap that is chosen against harm."""
    return study.config.harm.max_accuracy_loss if study.config.harm else None


def case_replays(wildcards):
    """Return the replayed case studies of a model, if the study has any."""
    if study.config.cases is None:
        return []
    return f"results/{wildcards.study}/{wildcards.model}/cases/replays.parquet"


def case_permutations():
    """Shuffles of the projections within case studies."""
    return study.config.cases.permutations if study.config.cases else None
