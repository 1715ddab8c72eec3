"""personae: map a language model's persona space, measure drift, limit it with capping."""

from snakemake.utils import min_version

min_version("9.14")


report: "rules/report/workflow.rst"


# A study given by --configfile replaces the default study instead of being merged into it.
if not workflow.config_settings.configfiles:

    configfile: "config/demo.yaml"


include: "rules/common.smk"
include: "rules/models.smk"
include: "rules/library.smk"
include: "rules/judging.smk"
include: "rules/roles.smk"
include: "rules/axis.smk"
include: "rules/traits.smk"
include: "rules/steering.smk"
include: "rules/monitoring.smk"
include: "rules/susceptibility.smk"
include: "rules/reading.smk"
include: "rules/finetuning.smk"
include: "rules/capping.smk"
include: "rules/harm.smk"
include: "rules/cases.smk"
include: "rules/drift.smk"
include: "rules/published.smk"
include: "rules/report.smk"
include: "rules/targets.smk"


rule all:
    default_target: True
    input:
        study_targets(),


snakemake_internals.remember_lookups(workflow)
start_with_targets()
