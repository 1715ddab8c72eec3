"""Steering along the Assistant Axis: who do roles say they are?"""


rule steer_roles:
    input:
        model=model_manifest,
        directions="results/{study}/{model}/axis/directions.parquet",
    output:
        "results/{study}/{model}/susceptibility/responses.parquet",
    log:
        "results/{study}/{model}/logs/steer_roles.log",
    benchmark:
        "results/{study}/{model}/benchmarks/steer_roles.tsv"
    group:
        batch_group("steer_roles")
    conda:
        "../envs/personae.yaml"
    resources:
        gres=model_gres,
        mem_mb=model_memory,
        runtime=model_minutes,
        slurm_partition=model_partition,
    params:
        engine=engine_params,
        record=from_study(node_params.susceptibility),
        code=code_digest("susceptibility/steer_roles"),
    script:
        "../scripts/susceptibility/steer_roles.py"


rule judge_speakers:
    input:
        responses="results/{study}/{model}/susceptibility/responses.parquet",
        calibration="results/{study}/{model}/judging/calibration.parquet",
    output:
        "results/{study}/{model}/susceptibility/scores.parquet",
    log:
        "results/{study}/{model}/logs/judge_speakers.log",
    benchmark:
        "results/{study}/{model}/benchmarks/judge_speakers.tsv"
    group:
        batch_group("judge_speakers")
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
        judging=judging_params("role_label", "coherence"),
        labelled=shipped(study.config.library.judging),
        code=code_digest("susceptibility/judge_speakers"),
    script:
        "../scripts/susceptibility/judge_speakers.py"


rule summarize_speakers:
    input:
        responses="results/{study}/{model}/susceptibility/responses.parquet",
        scores="results/{study}/{model}/susceptibility/scores.parquet",
    output:
        "results/{study}/{model}/susceptibility/shares.parquet",
    log:
        "results/{study}/{model}/logs/summarize_speakers.log",
    benchmark:
        "results/{study}/{model}/benchmarks/summarize_speakers.tsv"
    conda:
        "../envs/personae.yaml"
    params:
        unit=speaker_unit(),
        code=code_digest("susceptibility/summarize_speakers"),
    script:
        "../scripts/susceptibility/summarize_speakers.py"
