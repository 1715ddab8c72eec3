"""What the rules share: the checked study, targets, input functions, params and code digests.

This is the only rule file that defines functions. Every Snakemake process reads it, so it imports
nothing heavy.
"""

import atexit
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "scripts"))

from personae.workflow import node_params
from personae.inference.client import claim_ownership
from personae.workflow.cluster import finished_nodes, head_process, resources
from personae.workflow.config import check_ready, load_study, shortfalls
from personae.data.integrity import damaged_tables
from personae.base.errors import PersonaeError
from personae.workflow.estimate import estimate_study, node_seconds
from personae.workflow.estimate.estimate_table import render
from personae.judging.judge_types import OFFLINE
from personae.data.table_values import DEFAULT
from personae.personas.library import library_digest
from personae.workflow.code_digest import code_digest
from personae.workflow.package_path import use_package_of
from personae.workflow.requested_targets import command_line, target_problems
from personae.base.strict_yaml import restore_types

use_package_of(ROOT / "scripts")
try:
    restore_types(config, workflow.config_settings.config)
    selected = load_study(config, ROOT, sources=workflow.configfiles)
except PersonaeError as error:
    raise WorkflowError(str(error)) from None

validate(config, str(ROOT / "config" / "schema.json"))

study = selected.config
STUDY = study.study
MODELS = selected.model_names
ROLES = [*selected.role_names, DEFAULT]
TRAITS = selected.trait_names
# Traits of the trait space have vectors, but are not steered.
SPACE = selected.space_names
POLARITIES = ["positive", "negative"]


wildcard_constraints:
    study=STUDY,
    model="[a-z0-9_]+",
    role="|".join(ROLES),
    trait="|".join(TRAITS + SPACE),
    polarity="|".join(POLARITIES),


# Model servers that nodes start end with this process.
claim_ownership()


onstart:
    try:
        head_process.claim_results(Path("results"))
        if problems := check_ready(selected) + damaged_tables(
            Path("results") / STUDY
        ):
            raise WorkflowError("\n".join(problems))
        if head_process.cancel_leftovers():
            # Those jobs deleted their outputs as they ended: what is there has to be looked at anew.
            workflow.persistence.unlock()
            head_process.start_again()
    except PersonaeError as error:
        raise WorkflowError(str(error)) from None


onsuccess:
    finished_nodes.forget(Path("results") / STUDY)


def start_with_targets():
    """Refuse targets that nothing makes; say what personas lack, and what a dry run would cost."""
    if not workflow.is_main_process:
        return
    asked = command_line()
    outputs = [output for rule in workflow.rules for output in rule.output]
    if problems := target_problems(
        asked.targets,
        [rule.name for rule in workflow.rules],
        lambda name: any(output.match(name) for output in outputs),
        study_targets,
    ):
        raise WorkflowError("\n".join(problems))
    if asked.is_quiet:
        return
    for line in shortfalls(selected):
        print(f"note: {line}", file=sys.stderr)
    if asked.is_dry:
        atexit.register(print, render(estimate_study(selected)), file=sys.stderr)


def keep_group_going():
    """In an allocation, let one failing persona not keep the others from being finished.

    Snakemake passes `--keep-going` on to no group, and has its settings only when it asks for inputs.
    """
    if workflow.remote_exec and workflow.execution_settings is not None:
        workflow.execution_settings.keep_going = True


def study_targets():
    """Report, scorecard, and every persona's tables: one that is deleted is made again."""
    kept = ["responses.parquet", "activations.parquet"]
    personas = [
        path for name in kept for path in role_files(name) + polarity_files(name)
    ]
    personas += [
        f"results/{{study}}/{{model}}/traits/{trait}/vectors.parquet" for trait in SPACE
    ]
    imported = sorted({source.model for source in study.published})
    return [
        f"results/{STUDY}/report.html",
        f"results/{STUDY}/scorecard.parquet",
        *expand(personas, study=STUDY, model=MODELS),
        *expand(
            "results/{study}/{model}/published/cosines.parquet",
            study=STUDY,
            model=imported,
        ),
    ]


def model_manifest(wildcards):
    keep_group_going()
    return f"results/models/{wildcards.model}/manifest.json"


def judge_models(wildcards):
    """The models behind offline judges; endpoints need none of them."""
    if not any(name in OFFLINE for name in study.judging.names):
        return []
    return [model_manifest(wildcards), f"results/models/{study.embedder}/manifest.json"]


# The library card asks the study's first model, if a judge asks any, and the embedder.
CARD_MODEL = selected.models[MODELS[0] if study.judging.needs_model else study.embedder]


def card_models():
    names = {CARD_MODEL.name, study.embedder}
    return [f"results/models/{name}/manifest.json" for name in sorted(names)]


def card_memory(wildcards, attempt):
    return resources.memory_mb(CARD_MODEL, attempt)


def published_sources(wildcards):
    return [s.model_dump() for s in study.published if s.model == wildcards.model]


def published_files(wildcards):
    return [
        str(path)
        for source in study.published
        if source.model == wildcards.model
        for path in source.files()
    ]


def role_files(name):
    return [f"results/{{study}}/{{model}}/roles/{role}/{name}" for role in ROLES]


def judged_role_files(name):
    return [path for path in role_files(name) if f"/roles/{DEFAULT}/" not in path]


def trait_files(name):
    return [f"results/{{study}}/{{model}}/traits/{trait}/{name}" for trait in TRAITS]


def monitoring_files(name):
    folder = "results/{study}/{model}/monitoring"
    return [f"{folder}/{trait}/{name}" for trait in TRAITS]


def polarity_files(name):
    return [
        f"results/{{study}}/{{model}}/traits/{trait}/{polarity}/{name}"
        for trait in TRAITS + SPACE
        for polarity in POLARITIES
    ]


def role_scores(wildcards):
    """Scores of a role; the default Assistant plays none and is not judged for adherence."""
    if wildcards.role == DEFAULT:
        return []
    return f"results/{wildcards.study}/{wildcards.model}/roles/{wildcards.role}/scores.parquet"


def model_row(wildcards):
    return selected.models[wildcards.model].model_dump(mode="json")


def middle_layer(wildcards):
    return selected.models[wildcards.model].middle_layer


def engine_params(wildcards):
    return node_params.engine_record(selected, wildcards.model)


def judging_group(stage):
    """Nodes that judge: in the allocation of the model if a judge asks it, else without its GPU."""
    asks_model = study.judging.needs_model
    return f"{stage}_{{model}}" if asks_model else f"{stage}_judging_{{model}}"


def sweep_group(stage):
    """A stage of the steering chain: all of a trait in one allocation if judging stays in it."""
    return "steering_{model}" if study.judging.needs_model else f"{stage}_{{model}}"


def model_gres(wildcards):
    return resources.gpu_request(selected.models[wildcards.model])


def model_memory(wildcards, attempt):
    return resources.memory_mb(selected.models[wildcards.model], attempt)


def model_partition(wildcards):
    return resources.partition(selected.models[wildcards.model])


def model_minutes(wildcards, attempt, rulename):
    return resources.minutes(node_seconds(selected, rulename, wildcards), attempt)


# Judges that do not ask the model need no GPU: they are kept off the GPU partition.


def judge_gres(wildcards):
    return model_gres(wildcards) if study.judging.needs_model else ""


def judge_memory(wildcards, attempt):
    if study.judging.needs_model:
        return model_memory(wildcards, attempt)
    return resources.memory_mb(selected.models[study.embedder], attempt)


def judge_partition(wildcards):
    model = wildcards.model if study.judging.needs_model else study.embedder
    return resources.partition(selected.models[model])


judge_minutes = model_minutes


def judging_params(*kinds):
    """Who judges by rubrics of these kinds; of a role or trait if the node is about one."""

    def of_node(wildcards):
        one = wildcards.get("role") or wildcards.get("trait")
        roles = [one] if one else list(node_params.capping_personas(selected))
        targets = {
            "trait": [one] if one else TRAITS,
            "role_adherence": roles,
        }
        return node_params.judging(
            selected, {kind: targets.get(kind, [""]) for kind in kinds}
        )

    return of_node


def labelled_answers():
    """The labelled set, which calibrates the judges and gives the embedding judge its examples."""
    return selected.library.labelled.model_dump()


def generator_params(wildcards):
    return node_params.generator(selected, wildcards.model)


def role_record(wildcards):
    return node_params.role_record(selected, wildcards.role)


def role_rollouts(wildcards):
    return node_params.role_rollouts(selected, wildcards.model, wildcards.role)


def trait_rollouts(wildcards):
    return node_params.trait_rollouts(selected, wildcards.trait, wildcards.polarity)


def judged_trait(wildcards):
    return node_params.judged_trait(selected, wildcards.trait)


def effective_cells(wildcards):
    return node_params.effective_cells(selected, wildcards.trait)


def layer_sweep_params(wildcards):
    return node_params.layer_sweep(selected, wildcards.model, wildcards.trait)


def steering_params(wildcards):
    return node_params.steering(selected, wildcards.trait)


def monitoring_params(wildcards):
    return node_params.monitoring(selected, wildcards.trait)


def capping_arms(wildcards):
    return node_params.capping_arms(selected, wildcards.model)


def simulated_conversations(wildcards):
    """Conversations of which an endpoint plays the user, where the study has any."""
    if selected.simulated is None:
        return []
    return f"results/{wildcards.study}/{wildcards.model}/drift/simulated.parquet"


def simulated_min_samples():
    return selected.simulated.min_samples if selected.simulated else None


def drift_cap(wildcards):
    return node_params.drift_cap(selected, wildcards.model)
