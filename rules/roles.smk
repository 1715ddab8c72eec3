"""The roles arm: responses in every role and as the default Assistant, their scores and activations."""


rule generate_role_responses:
    input:
        model=model_manifest,
    output:
        "results/{study}/{model}/roles/{role}/responses.parquet",
    log:
        "results/{study}/{model}/logs/generate_role_responses/{role}.log",
    benchmark:
        "results/{study}/{model}/benchmarks/generate_role_responses/{role}.tsv"
    group:
        batch_group("generate_role_responses")
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
        rollouts=from_study(node_params.role_rollouts),
        generator=from_study(node_params.generator),
        code=code_digest("roles/generate_role_responses"),
    script:
        "../scripts/roles/generate_role_responses.py"


rule judge_role_responses:
    input:
        responses=rules.generate_role_responses.output[0],
        calibration=rules.calibrate_judges.output.calibration,
    output:
        "results/{study}/{model}/roles/{role}/scores.parquet",
    log:
        "results/{study}/{model}/logs/judge_role_responses/{role}.log",
    benchmark:
        "results/{study}/{model}/benchmarks/judge_role_responses/{role}.tsv"
    group:
        batch_group("judge_role_responses")
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
        judging=judging_params("role_adherence"),
        labelled=shipped(study.config.library.judging),
        role=from_study(node_params.role_record),
        code=code_digest("roles/judge_role_responses"),
    script:
        "../scripts/roles/judge_role_responses.py"


rule extract_role_activations:
    input:
        model=model_manifest,
        responses=rules.generate_role_responses.output[0],
    output:
        "results/{study}/{model}/roles/{role}/activations.parquet",
    log:
        "results/{study}/{model}/logs/extract_role_activations/{role}.log",
    benchmark:
        "results/{study}/{model}/benchmarks/extract_role_activations/{role}.tsv"
    group:
        batch_group("extract_role_activations")
    conda:
        "../envs/personae.yaml"
    resources:
        gres=model_gres,
        mem_mb=model_memory,
        runtime=model_minutes,
        slurm_partition=model_partition,
    params:
        engine=engine_params,
        code=code_digest("roles/extract_role_activations"),
    script:
        "../scripts/roles/extract_role_activations.py"


rule compute_role_vectors:
    input:
        responses=rules.generate_role_responses.output[0],
        scores=role_scores,
        activations=role_activations,
        model=reading_model,
    output:
        vectors="results/{study}/{model}/roles/{role}/vectors.parquet",
        sums="results/{study}/{model}/roles/{role}/sums.parquet",
        kept="results/{study}/{model}/roles/{role}/kept.parquet",
    log:
        "results/{study}/{model}/logs/compute_role_vectors/{role}.log",
    benchmark:
        "results/{study}/{model}/benchmarks/compute_role_vectors/{role}.tsv"
    group:
        batch_group("compute_role_vectors")
    conda:
        "../envs/personae.yaml"
    resources:
        **reading_resources,
    params:
        engine=engine_params,
        keep=from_study(node_params.kept_of_roles),
        max_unscored=study.config.judging.max_unscored,
        code=code_digest("roles/compute_role_vectors"),
    script:
        "../scripts/roles/compute_role_vectors.py"


rule project_role_responses:
    input:
        responses=role_part_files("responses.parquet"),
        activations=where_kept(role_part_files("activations.parquet")),
        directions="results/{study}/{model}/axis/directions.parquet",
        model=reading_model,
    output:
        "results/{study}/{model}/projections/roles/{part}.parquet",
    log:
        "results/{study}/{model}/logs/project_role_responses/{part}.log",
    benchmark:
        "results/{study}/{model}/benchmarks/project_role_responses/{part}.tsv"
    conda:
        "../envs/personae.yaml"
    resources:
        **reading_resources,
    params:
        engine=engine_params,
        roles=role_part,
        code=code_digest("roles/project_role_responses"),
    script:
        "../scripts/roles/project_role_responses.py"
