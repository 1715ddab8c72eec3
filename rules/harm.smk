"""Harmful requests: under persona jailbreaks, with and without capping, and after a first turn."""


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


rule answer_in_roles:
    input:
        model=model_manifest,
        responses=link_files("responses.parquet"),
    output:
        "results/{study}/{model}/harm/link/responses.parquet",
    log:
        "results/{study}/{model}/logs/answer_in_roles.log",
    benchmark:
        "results/{study}/{model}/benchmarks/answer_in_roles.tsv"
    group:
        batch_group("answer_in_roles")
    conda:
        "../envs/personae.yaml"
    resources:
        gres=model_gres,
        judge_slots=generator_slots,
        mem_mb=model_memory,
        runtime=model_minutes,
        slurm_partition=model_partition,
    params:
        engine=engine_params,
        record=node_params.harm_link(study),
        generator=from_study(node_params.generator),
        code=code_digest("harm/answer_in_roles"),
    script:
        "../scripts/harm/answer_in_roles.py"


rule judge_harm_in_roles:
    input:
        responses="results/{study}/{model}/harm/link/responses.parquet",
        calibration="results/{study}/{model}/judging/calibration.parquet",
    output:
        "results/{study}/{model}/harm/link/scores.parquet",
    log:
        "results/{study}/{model}/logs/judge_harm_in_roles.log",
    benchmark:
        "results/{study}/{model}/benchmarks/judge_harm_in_roles.tsv"
    group:
        batch_group("judge_harm_in_roles")
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
        code=code_digest("harm/judge_harm_in_roles"),
    script:
        "../scripts/harm/judge_harm_in_roles.py"


rule measure_harm_link:
    input:
        responses="results/{study}/{model}/harm/link/responses.parquet",
        scores="results/{study}/{model}/harm/link/scores.parquet",
        projections=ROLE_PROJECTIONS,
    output:
        points="results/{study}/{model}/harm/link/points.parquet",
        link="results/{study}/{model}/harm/link/link.parquet",
    log:
        "results/{study}/{model}/logs/measure_harm_link.log",
    benchmark:
        "results/{study}/{model}/benchmarks/measure_harm_link.tsv"
    conda:
        "../envs/personae.yaml"
    params:
        axis=study.config.axis.model_dump(),
        middle_layer=middle_layer,
        seed=study.config.seed,
        code=code_digest("harm/measure_harm_link"),
    script:
        "../scripts/harm/measure_harm_link.py"
