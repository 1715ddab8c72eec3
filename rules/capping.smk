"""Activation capping: floors, capped responses, and their cost."""


rule calibrate_floors:
    input:
        roles=ROLE_PROJECTIONS,
        traits=TRAIT_PROJECTIONS,
    output:
        "results/{study}/{model}/capping/floors.parquet",
    log:
        "results/{study}/{model}/logs/calibrate_floors.log",
    benchmark:
        "results/{study}/{model}/benchmarks/calibrate_floors.tsv"
    conda:
        "../envs/personae.yaml"
    params:
        pools=study.config.capping.pools,
        readings=study.config.capping.readings,
        percentiles=study.config.capping.percentiles,
        code=code_digest("capping/calibrate_floors"),
    script:
        "../scripts/capping/calibrate_floors.py"


rule cap_responses:
    input:
        model=model_manifest,
        directions="results/{study}/{model}/axis/directions.parquet",
        floors="results/{study}/{model}/capping/floors.parquet",
    output:
        "results/{study}/{model}/capping/responses.parquet",
    log:
        "results/{study}/{model}/logs/cap_responses.log",
    benchmark:
        "results/{study}/{model}/benchmarks/cap_responses.tsv"
    group:
        batch_group("cap_responses")
    conda:
        "../envs/personae.yaml"
    resources:
        gres=model_gres,
        mem_mb=model_memory,
        runtime=model_minutes,
        slurm_partition=model_partition,
    params:
        engine=engine_params,
        arms=from_study(node_params.capping_arms),
        rollouts=node_params.capping_rollouts(study),
        conversations=node_params.jailbreaks(study),
        code=code_digest("capping/cap_responses"),
    script:
        "../scripts/capping/cap_responses.py"


rule judge_capping:
    input:
        responses="results/{study}/{model}/capping/responses.parquet",
        calibration="results/{study}/{model}/judging/calibration.parquet",
    output:
        "results/{study}/{model}/capping/scores.parquet",
    log:
        "results/{study}/{model}/logs/judge_capping.log",
    benchmark:
        "results/{study}/{model}/benchmarks/judge_capping.tsv"
    group:
        batch_group("judge_capping")
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
        judging=judging_params("role_adherence", "coherence"),
        labelled=shipped(study.config.library.judging),
        personas=node_params.capping_personas(study),
        code=code_digest("capping/judge_capping"),
    script:
        "../scripts/capping/judge_capping.py"


rule measure_capping_cost:
    input:
        model=model_manifest,
        directions="results/{study}/{model}/axis/directions.parquet",
        floors="results/{study}/{model}/capping/floors.parquet",
        neutral=f"results/{{study}}/{{model}}/roles/{DEFAULT}/responses.parquet",
    output:
        "results/{study}/{model}/capping/costs.parquet",
    log:
        "results/{study}/{model}/logs/measure_capping_cost.log",
    benchmark:
        "results/{study}/{model}/benchmarks/measure_capping_cost.tsv"
    conda:
        "../envs/personae.yaml"
    resources:
        gres=model_gres,
        mem_mb=model_memory,
        runtime=model_minutes,
        slurm_partition=model_partition,
    params:
        engine=engine_params,
        arms=from_study(node_params.capping_arms),
        settings=node_params.capping_settings(study),
        closed=node_params.closed_answers(study),
        neutral_questions=study.config.capping.neutral_questions,
        code=code_digest("capping/measure_capping_cost"),
    script:
        "../scripts/capping/measure_capping_cost.py"


rule summarize_capping:
    input:
        responses="results/{study}/{model}/capping/responses.parquet",
        scores="results/{study}/{model}/capping/scores.parquet",
        costs="results/{study}/{model}/capping/costs.parquet",
    output:
        "results/{study}/{model}/capping/tradeoff.parquet",
    log:
        "results/{study}/{model}/logs/summarize_capping.log",
    benchmark:
        "results/{study}/{model}/benchmarks/summarize_capping.tsv"
    conda:
        "../envs/personae.yaml"
    params:
        arms=from_study(node_params.capping_arms),
        evaluated=study.config.capping.evaluated.model_dump(),
        max_unscored=study.config.judging.max_unscored,
        seed=study.config.seed,
        code=code_digest("capping/summarize_capping"),
    script:
        "../scripts/capping/summarize_capping.py"


rule measure_capability:
    input:
        model=model_manifest,
        directions="results/{study}/{model}/axis/directions.parquet",
        floors="results/{study}/{model}/capping/floors.parquet",
    output:
        "results/{study}/{model}/capping/capability.parquet",
    log:
        "results/{study}/{model}/logs/measure_capability.log",
    benchmark:
        "results/{study}/{model}/benchmarks/measure_capability.tsv"
    group:
        batch_group("measure_capability")
    conda:
        "../envs/personae.yaml"
    resources:
        gres=model_gres,
        mem_mb=model_memory,
        runtime=model_minutes,
        slurm_partition=model_partition,
    params:
        engine=engine_params,
        arms=from_study(node_params.capability_arms),
        settings=node_params.capability_settings(study),
        items_=node_params.capability_items(study),
        code=code_digest("capping/measure_capability"),
    script:
        "../scripts/capping/measure_capability.py"


rule summarize_capability:
    input:
        "results/{study}/{model}/capping/capability.parquet",
    output:
        "results/{study}/{model}/capping/capability_changes.parquet",
    log:
        "results/{study}/{model}/logs/summarize_capability.log",
    benchmark:
        "results/{study}/{model}/benchmarks/summarize_capability.tsv"
    conda:
        "../envs/personae.yaml"
    params:
        code=code_digest("capping/summarize_capability"),
    script:
        "../scripts/capping/summarize_capability.py"
