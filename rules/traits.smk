"""The traits arm: contrastive responses, judged and filtered, become trait vectors."""


rule generate_trait_responses:
    input:
        model=model_manifest,
    output:
        "results/{study}/{model}/traits/{trait}/{polarity}/responses.parquet",
    log:
        "results/{study}/{model}/logs/generate_trait_responses/{trait}_{polarity}.log",
    benchmark:
        "results/{study}/{model}/benchmarks/generate_trait_responses/{trait}_{polarity}.tsv"
    group:
        batch_group("generate_trait_responses")
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
        rollouts=from_study(node_params.trait_rollouts),
        generator=from_study(node_params.generator),
        code=code_digest("traits/generate_trait_responses"),
    script:
        "../scripts/traits/generate_trait_responses.py"


rule judge_trait_responses:
    input:
        responses=rules.generate_trait_responses.output[0],
        calibration=rules.calibrate_judges.output.calibration,
    output:
        "results/{study}/{model}/traits/{trait}/{polarity}/scores.parquet",
    log:
        "results/{study}/{model}/logs/judge_trait_responses/{trait}_{polarity}.log",
    benchmark:
        "results/{study}/{model}/benchmarks/judge_trait_responses/{trait}_{polarity}.tsv"
    group:
        batch_group("judge_trait_responses")
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
        rubrics=from_study(node_params.trait_rubrics),
        code=code_digest("traits/judge_trait_responses"),
    script:
        "../scripts/traits/judge_trait_responses.py"


rule extract_trait_activations:
    input:
        model=model_manifest,
        responses=rules.generate_trait_responses.output[0],
    output:
        "results/{study}/{model}/traits/{trait}/{polarity}/activations.parquet",
    log:
        "results/{study}/{model}/logs/extract_trait_activations/{trait}_{polarity}.log",
    benchmark:
        "results/{study}/{model}/benchmarks/extract_trait_activations/{trait}_{polarity}.tsv"
    group:
        batch_group("extract_trait_activations")
    conda:
        "../envs/personae.yaml"
    resources:
        gres=model_gres,
        mem_mb=model_memory,
        runtime=model_minutes,
        slurm_partition=model_partition,
    params:
        engine=engine_params,
        spans=from_study(node_params.trait_spans),
        code=code_digest("traits/extract_trait_activations"),
    script:
        "../scripts/traits/extract_trait_activations.py"


rule compute_trait_vectors:
    input:
        responses=trait_side_files("responses.parquet"),
        scores=trait_side_files("scores.parquet"),
        activations=where_kept(trait_side_files("activations.parquet")),
        model=reading_model,
    output:
        vectors="results/{study}/{model}/traits/{trait}/vectors.parquet",
        pairs="results/{study}/{model}/traits/{trait}/pairs.parquet",
    log:
        "results/{study}/{model}/logs/compute_trait_vectors/{trait}.log",
    benchmark:
        "results/{study}/{model}/benchmarks/compute_trait_vectors/{trait}.tsv"
    group:
        batch_group("compute_trait_vectors")
    conda:
        "../envs/personae.yaml"
    resources:
        **reading_resources,
    params:
        engine=engine_params,
        spans=from_study(node_params.trait_spans),
        effective=from_study(node_params.trait_filter),
        max_unscored=study.config.judging.max_unscored,
        seed=study.config.seed,
        code=code_digest("traits/compute_trait_vectors"),
    script:
        "../scripts/traits/compute_trait_vectors.py"


rule compute_space_vectors:
    input:
        responses=trait_part_files("responses.parquet"),
        scores=trait_part_files("scores.parquet"),
        activations=where_kept(trait_part_files("activations.parquet")),
        directions="results/{study}/{model}/axis/directions.parquet",
        model=reading_model,
    output:
        vectors="results/{study}/{model}/trait_space/{part}.parquet",
        projections="results/{study}/{model}/projections/traits/{part}.parquet",
        sums="results/{study}/{model}/trait_space/{part}_sums.parquet",
    log:
        "results/{study}/{model}/logs/compute_space_vectors/{part}.log",
    benchmark:
        "results/{study}/{model}/benchmarks/compute_space_vectors/{part}.tsv"
    conda:
        "../envs/personae.yaml"
    resources:
        **reading_resources,
    params:
        engine=engine_params,
        traits=trait_part,
        effective=node_params.space_filter(study),
        middle_layer=middle_layer,
        max_unscored=study.config.judging.max_unscored,
        seed=study.config.seed,
        code=code_digest("traits/compute_space_vectors"),
    script:
        "../scripts/traits/compute_space_vectors.py"


rule compare_trait_vectors:
    input:
        vectors=trait_files("vectors.parquet"),
        directions="results/{study}/{model}/axis/directions.parquet",
    output:
        "results/{study}/{model}/traits/cosines.parquet",
    log:
        "results/{study}/{model}/logs/compare_trait_vectors.log",
    benchmark:
        "results/{study}/{model}/benchmarks/compare_trait_vectors.tsv"
    conda:
        "../envs/personae.yaml"
    params:
        code=code_digest("traits/compare_trait_vectors"),
    script:
        "../scripts/traits/compare_trait_vectors.py"


rule measure_trait_geometry:
    input:
        vectors=trait_files("vectors.parquet"),
        directions="results/{study}/{model}/axis/directions.parquet",
        roles="results/{study}/{model}/axis/role_vectors.parquet",
    output:
        pairs="results/{study}/{model}/traits/pair_cosines.parquet",
        positions="results/{study}/{model}/traits/positions.parquet",
    log:
        "results/{study}/{model}/logs/measure_trait_geometry.log",
    benchmark:
        "results/{study}/{model}/benchmarks/measure_trait_geometry.tsv"
    conda:
        "../envs/personae.yaml"
    params:
        middle_layer=middle_layer,
        seed=study.config.seed,
        code=code_digest("traits/measure_trait_geometry"),
    script:
        "../scripts/traits/measure_trait_geometry.py"


rule compare_trait_space:
    input:
        sums=SPACE_SUMS,
        directions="results/{study}/{model}/axis/directions.parquet",
        role_vectors="results/{study}/{model}/axis/role_vectors.parquet",
    output:
        cosines="results/{study}/{model}/trait_space/cosines.parquet",
        components="results/{study}/{model}/trait_space/components.parquet",
        plane="results/{study}/{model}/trait_space/plane.parquet",
    log:
        "results/{study}/{model}/logs/compare_trait_space.log",
    benchmark:
        "results/{study}/{model}/benchmarks/compare_trait_space.tsv"
    conda:
        "../envs/personae.yaml"
    params:
        axis=study.config.axis.model_dump(),
        middle_layer=middle_layer,
        seed=study.config.seed,
        code=code_digest("traits/compare_trait_space"),
    script:
        "../scripts/traits/compare_trait_space.py"
