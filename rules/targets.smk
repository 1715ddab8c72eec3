"""Targets for one arm each, such as `snakemake axis`, for all models of the study.

`--config 'models=[NAME]'` makes an arm for one model.
"""


localrules:
    roles,
    axis,
    traits,
    steering,
    monitoring,
    susceptibility,
    reading,
    finetuning,
    capping,
    harm,
    cases,
    drift,
    judging,


rule roles:
    input:
        arm_targets("roles"),


rule axis:
    input:
        arm_targets("axis"),


rule traits:
    input:
        arm_targets("traits"),


rule steering:
    input:
        arm_targets("steering"),


rule monitoring:
    input:
        arm_targets("monitoring"),


rule susceptibility:
    input:
        arm_targets("susceptibility"),


rule reading:
    input:
        arm_targets("reading"),


rule finetuning:
    input:
        arm_targets("finetuning"),


rule capping:
    input:
        arm_targets("capping"),


rule harm:
    input:
        arm_targets("harm"),


rule cases:
    input:
        arm_targets("cases"),


rule drift:
    input:
        arm_targets("drift"),


rule judging:
    input:
        arm_targets("judging"),
