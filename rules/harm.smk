"""Harmful requests under persona jailbreaks, with and without capping."""


rule answer_probes:
    input:
        model=model_manifest,
        directions="results/{study}/{model}/axis/directions.parquet",
        floors="results/{study}/{model}/capping/floors.parquet",
    output:
        "results/{study}/{model}/harm/responses.parquet",
    log:
        "results/{study}/{model}/logs/answer_probes.log",
    benchmark:
        "results/{study}/{model}/benchmarks/answer_probes.tsv"
    group:
        batch_group("answer_probes")
    conda:
        "../envs/personae.yaml"
    resources:
        gres=model_gres,
        mem_mb=model_memory,
        runtime=model_minutes,
        slurm_partition=model_partition,
    params:
        engine=engine_params,
        arms=from_study(node_params.harm_arms),
        record=from_study(node_params.harm_record),
        code=code_digest("harm/answer_probes"),
    script:
        "../scripts/harm/answer_probes.py"


rule judge_harm:
    input:
        models=judge_models,
        responses="results/{study}/{model}/harm/responses.parquet",
        calibration="results/{study}/{model}/judging/calibration.parquet",
    output:
        "results/{study}/{model}/harm/scores.parquet",
    log:
        "results/{study}/{model}/logs/judge_harm.log",
    benchmark:
        "results/{study}/{model}/benchmarks/judge_harm.tsv"
    group:
        batch_group("judge_harm")
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
        judging=judging_params("harm"),
        labelled=shipped(study.config.library.judging),
        code=code_digest("harm/judge_harm"),
    script:
        "../scripts/harm/judge_harm.py"


rule summarize_harm:
    input:
        responses="results/{study}/{model}/harm/responses.parquet",
        scores="results/{study}/{model}/harm/scores.parquet",
        tradeoff="results/{study}/{model}/capping/tradeoff.parquet",
    output:
        "results/{study}/{model}/harm/rates.parquet",
    log:
        "results/{study}/{model}/logs/summarize_harm.log",
    benchmark:
        "results/{study}/{model}/benchmarks/summarize_harm.tsv"
    conda:
        "../envs/personae.yaml"
    params:
        max_loss=max_accuracy_loss(),
        code=code_digest("harm/summarize_harm"),
    script:
        "../scripts/harm/summarize_harm.py"
