"""Calibrate the judges on the labelled set, and measure how far each can be trusted."""


rule calibrate_judges:
    input:
        models=judge_models,
    output:
        calibration="results/{study}/{model}/judging/calibration.parquet",
        scores="results/{study}/{model}/judging/labelled_scores.parquet",
        agreement="results/{study}/{model}/judging/agreement.parquet",
        confusion="results/{study}/{model}/judging/confusion.parquet",
        pairs="results/{study}/{model}/judging/judge_pairs.parquet",
        bias="results/{study}/{model}/judging/judge_bias.parquet",
    log:
        "results/{study}/{model}/logs/calibrate_judges.log",
    benchmark:
        "results/{study}/{model}/benchmarks/calibrate_judges.tsv"
    conda:
        "../envs/personae.yaml"
    resources:
        gres=judge_gres,
        mem_mb=judge_memory,
        runtime=judge_minutes,
        slurm_partition=judge_partition,
    params:
        engine=engine_params,
        judging=node_params.measuring(selected),
        labelled=labelled_answers(),
        traits=node_params.judged_traits(selected),
        roles=node_params.judged_roles(selected),
        seed=study.seed,
        code=code_digest("judging/calibrate_judges"),
    script:
        "../scripts/judging/calibrate_judges.py"


rule summarize_scores:
    input:
        roles=judged_role_files("scores.parquet"),
        roles_responses=judged_role_files("responses.parquet"),
        traits=polarity_files("scores.parquet"),
        traits_responses=polarity_files("responses.parquet"),
        layer_sweep=expand(
            "results/{{study}}/{{model}}/steering/{trait}/layer_sweep/scores.parquet",
            trait=TRAITS,
        ),
        layer_sweep_responses=expand(
            "results/{{study}}/{{model}}/steering/{trait}/layer_sweep/responses.parquet",
            trait=TRAITS,
        ),
        alpha_sweep=expand(
            "results/{{study}}/{{model}}/steering/{trait}/alpha_sweep/scores.parquet",
            trait=TRAITS,
        ),
        alpha_sweep_responses=expand(
            "results/{{study}}/{{model}}/steering/{trait}/alpha_sweep/responses.parquet",
            trait=TRAITS,
        ),
        monitoring=monitoring_files("scores.parquet"),
        monitoring_responses=monitoring_files("responses.parquet"),
        capping="results/{study}/{model}/capping/scores.parquet",
        capping_responses="results/{study}/{model}/capping/responses.parquet",
    output:
        summary="results/{study}/{model}/judging/score_summary.parquet",
        pairs="results/{study}/{model}/judging/study_pairs.parquet",
        confusion="results/{study}/{model}/judging/study_confusion.parquet",
    log:
        "results/{study}/{model}/logs/summarize_scores.log",
    benchmark:
        "results/{study}/{model}/benchmarks/summarize_scores.tsv"
    conda:
        "../envs/personae.yaml"
    params:
        arms={
            "roles": "role_responses",
            "traits": "trait_responses",
            "layer_sweep": "steered_responses",
            "alpha_sweep": "steered_responses",
            "monitoring": "monitored_responses",
            "capping": "capped_responses",
        },
        seed=study.seed,
        code=code_digest("judging/summarize_scores"),
    script:
        "../scripts/judging/summarize_scores.py"
