"""Case studies: risk, harm and projection turn by turn, with and without a cap."""


rule replay_cases:
    input:
        model=model_manifest,
        directions="results/{study}/{model}/axis/directions.parquet",
        floors="results/{study}/{model}/capping/floors.parquet",
    output:
        "results/{study}/{model}/cases/replays.parquet",
    log:
        "results/{study}/{model}/logs/replay_cases.log",
    benchmark:
        "results/{study}/{model}/benchmarks/replay_cases.tsv"
    group:
        batch_group("replay_cases")
    conda:
        "../envs/personae.yaml"
    resources:
        gres=model_gres,
        mem_mb=model_memory,
        runtime=model_minutes,
        slurm_partition=model_partition,
    params:
        engine=engine_params,
        record=from_study(node_params.case_record),
        code=code_digest("cases/replay_cases"),
    script:
        "../scripts/cases/replay_cases.py"


rule judge_cases:
    input:
        responses="results/{study}/{model}/cases/replays.parquet",
        calibration="results/{study}/{model}/judging/calibration.parquet",
    output:
        "results/{study}/{model}/cases/scores.parquet",
    log:
        "results/{study}/{model}/logs/judge_cases.log",
    benchmark:
        "results/{study}/{model}/benchmarks/judge_cases.tsv"
    group:
        batch_group("judge_cases")
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
        judging=judging_params("delusion_risk", "harm"),
        labelled=shipped(study.config.library.judging),
        code=code_digest("cases/judge_cases"),
    script:
        "../scripts/cases/judge_cases.py"


rule project_cases:
    input:
        model=model_manifest,
        directions="results/{study}/{model}/axis/directions.parquet",
        replays="results/{study}/{model}/cases/replays.parquet",
    output:
        turns="results/{study}/{model}/cases/projections.parquet",
        tokens="results/{study}/{model}/cases/tokens.parquet",
    log:
        "results/{study}/{model}/logs/project_cases.log",
    benchmark:
        "results/{study}/{model}/benchmarks/project_cases.tsv"
    group:
        batch_group("project_cases")
    conda:
        "../envs/personae.yaml"
    resources:
        gres=model_gres,
        mem_mb=model_memory,
        runtime=model_minutes,
        slurm_partition=model_partition,
    params:
        engine=engine_params,
        layer=middle_layer,
        code=code_digest("cases/project_cases"),
    script:
        "../scripts/cases/project_cases.py"


rule summarize_cases:
    input:
        replays="results/{study}/{model}/cases/replays.parquet",
        scores="results/{study}/{model}/cases/scores.parquet",
        projections="results/{study}/{model}/cases/projections.parquet",
    output:
        turns="results/{study}/{model}/cases/turns.parquet",
        effects="results/{study}/{model}/cases/effects.parquet",
    log:
        "results/{study}/{model}/logs/summarize_cases.log",
    benchmark:
        "results/{study}/{model}/benchmarks/summarize_cases.tsv"
    conda:
        "../envs/personae.yaml"
    params:
        layer=middle_layer,
        permutations=case_permutations(),
        seed=study.config.seed,
        code=code_digest("cases/summarize_cases"),
    script:
        "../scripts/cases/summarize_cases.py"
