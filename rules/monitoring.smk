"""Monitoring: the last prompt token's projection against the trait of the response."""


rule generate_monitored_responses:
    input:
        model=model_manifest,
    output:
        "results/{study}/{model}/monitoring/{trait}/responses.parquet",
    log:
        "results/{study}/{model}/logs/generate_monitored_responses/{trait}.log",
    benchmark:
        "results/{study}/{model}/benchmarks/generate_monitored_responses/{trait}.tsv"
    group:
        batch_group("generate_monitored_responses")
    conda:
        "../envs/personae.yaml"
    resources:
        gres=model_gres,
        mem_mb=model_memory,
        runtime=model_minutes,
        slurm_partition=model_partition,
    params:
        engine=engine_params,
        rollouts=from_study(node_params.monitoring),
        code=code_digest("monitoring/generate_monitored_responses"),
    script:
        "../scripts/monitoring/generate_monitored_responses.py"


rule judge_monitored_responses:
    input:
        responses="results/{study}/{model}/monitoring/{trait}/responses.parquet",
        calibration="results/{study}/{model}/judging/calibration.parquet",
    output:
        "results/{study}/{model}/monitoring/{trait}/scores.parquet",
    log:
        "results/{study}/{model}/logs/judge_monitored_responses/{trait}.log",
    benchmark:
        "results/{study}/{model}/benchmarks/judge_monitored_responses/{trait}.tsv"
    group:
        batch_group("judge_monitored_responses")
    conda:
        "../envs/personae.yaml"
    resources:
        gres=judge_gres,
        judge_slots=judge_slots,
        mem_mb=judge_memory,
        runtime=judge_minutes,
        slurm_partition=judge_partition,
    params:
        engine=engine_params,
        judging=judging_params("trait", "coherence"),
        labelled=shipped(study.config.library.judging),
        trait=from_study(node_params.judged_trait),
        code=code_digest("monitoring/judge_monitored_responses"),
    script:
        "../scripts/monitoring/judge_monitored_responses.py"


rule project_last_prompts:
    input:
        model=model_manifest,
        responses="results/{study}/{model}/monitoring/{trait}/responses.parquet",
        vectors="results/{study}/{model}/traits/{trait}/vectors.parquet",
    output:
        "results/{study}/{model}/monitoring/{trait}/projections.parquet",
    log:
        "results/{study}/{model}/logs/project_last_prompts/{trait}.log",
    benchmark:
        "results/{study}/{model}/benchmarks/project_last_prompts/{trait}.tsv"
    group:
        batch_group("project_last_prompts")
    conda:
        "../envs/personae.yaml"
    resources:
        gres=model_gres,
        mem_mb=model_memory,
        runtime=model_minutes,
        slurm_partition=model_partition,
    params:
        engine=engine_params,
        code=code_digest("monitoring/project_last_prompts"),
    script:
        "../scripts/monitoring/project_last_prompts.py"


rule measure_monitoring:
    input:
        responses="results/{study}/{model}/monitoring/{trait}/responses.parquet",
        scores="results/{study}/{model}/monitoring/{trait}/scores.parquet",
        projections="results/{study}/{model}/monitoring/{trait}/projections.parquet",
        layer="results/{study}/{model}/steering/{trait}/layer_sweep/effects.parquet",
    output:
        correlations="results/{study}/{model}/monitoring/{trait}/correlations.parquet",
        points="results/{study}/{model}/monitoring/{trait}/points.parquet",
        alerts="results/{study}/{model}/monitoring/{trait}/alerts.parquet",
    log:
        "results/{study}/{model}/logs/measure_monitoring/{trait}.log",
    benchmark:
        "results/{study}/{model}/benchmarks/measure_monitoring/{trait}.tsv"
    group:
        batch_group("measure_monitoring")
    conda:
        "../envs/personae.yaml"
    params:
        max_unscored=study.config.judging.max_unscored,
        false_alarms=study.config.monitoring.false_alarms,
        code=code_digest("monitoring/measure_monitoring"),
    script:
        "../scripts/monitoring/measure_monitoring.py"
