"""The layer sweep, the choice of a layer, and steering at that layer."""


rule sweep_trait_layers:
    input:
        model=model_manifest,
        vectors="results/{study}/{model}/traits/{trait}/vectors.parquet",
    output:
        "results/{study}/{model}/steering/{trait}/layer_sweep/responses.parquet",
    log:
        "results/{study}/{model}/logs/sweep_trait_layers/{trait}.log",
    benchmark:
        "results/{study}/{model}/benchmarks/sweep_trait_layers/{trait}.tsv"
    group:
        batch_group("sweep_trait_layers")
    conda:
        "../envs/personae.yaml"
    resources:
        gres=model_gres,
        mem_mb=model_memory,
        runtime=model_minutes,
        slurm_partition=model_partition,
    params:
        engine=engine_params,
        sweep=from_study(node_params.layer_sweep),
        code=code_digest("steering/sweep_trait_layers"),
    script:
        "../scripts/steering/sweep_trait_layers.py"


rule judge_layer_sweep:
    input:
        models=judge_models,
        responses="results/{study}/{model}/steering/{trait}/layer_sweep/responses.parquet",
        calibration="results/{study}/{model}/judging/calibration.parquet",
    output:
        "results/{study}/{model}/steering/{trait}/layer_sweep/scores.parquet",
    log:
        "results/{study}/{model}/logs/judge_layer_sweep/{trait}.log",
    benchmark:
        "results/{study}/{model}/benchmarks/judge_layer_sweep/{trait}.tsv"
    group:
        batch_group("judge_layer_sweep")
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
        labelled=study.config.library.judging,
        trait=from_study(node_params.judged_trait),
        code=code_digest("steering/judge_layer_sweep"),
    script:
        "../scripts/steering/judge_layer_sweep.py"


rule choose_trait_layer:
    input:
        responses="results/{study}/{model}/steering/{trait}/layer_sweep/responses.parquet",
        scores="results/{study}/{model}/steering/{trait}/layer_sweep/scores.parquet",
    output:
        "results/{study}/{model}/steering/{trait}/layer_sweep/effects.parquet",
    log:
        "results/{study}/{model}/logs/choose_trait_layer/{trait}.log",
    benchmark:
        "results/{study}/{model}/benchmarks/choose_trait_layer/{trait}.tsv"
    group:
        batch_group("choose_trait_layer")
    conda:
        "../envs/personae.yaml"
    resources:
        gres=judge_gres,
        mem_mb=judge_memory,
        runtime=judge_minutes,
        slurm_partition=judge_partition,
    params:
        coherence_floor=study.config.layer_sweep.coherence_floor,
        max_unscored=study.config.judging.max_unscored,
        seed=study.config.seed,
        code=code_digest("steering/choose_trait_layer"),
    script:
        "../scripts/steering/choose_trait_layer.py"


rule steer_trait:
    input:
        model=model_manifest,
        vectors="results/{study}/{model}/traits/{trait}/vectors.parquet",
        layer="results/{study}/{model}/steering/{trait}/layer_sweep/effects.parquet",
    output:
        "results/{study}/{model}/steering/{trait}/alpha_sweep/responses.parquet",
    log:
        "results/{study}/{model}/logs/steer_trait/{trait}.log",
    benchmark:
        "results/{study}/{model}/benchmarks/steer_trait/{trait}.tsv"
    group:
        batch_group("steer_trait")
    conda:
        "../envs/personae.yaml"
    resources:
        gres=model_gres,
        mem_mb=model_memory,
        runtime=model_minutes,
        slurm_partition=model_partition,
    params:
        engine=engine_params,
        steering=from_study(node_params.steering),
        code=code_digest("steering/steer_trait"),
    script:
        "../scripts/steering/steer_trait.py"


rule judge_steering:
    input:
        models=judge_models,
        responses="results/{study}/{model}/steering/{trait}/alpha_sweep/responses.parquet",
        calibration="results/{study}/{model}/judging/calibration.parquet",
    output:
        "results/{study}/{model}/steering/{trait}/alpha_sweep/scores.parquet",
    log:
        "results/{study}/{model}/logs/judge_steering/{trait}.log",
    benchmark:
        "results/{study}/{model}/benchmarks/judge_steering/{trait}.tsv"
    group:
        batch_group("judge_steering")
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
        labelled=study.config.library.judging,
        trait=from_study(node_params.judged_trait),
        code=code_digest("steering/judge_steering"),
    script:
        "../scripts/steering/judge_steering.py"


rule summarize_steering:
    input:
        responses="results/{study}/{model}/steering/{trait}/alpha_sweep/responses.parquet",
        scores="results/{study}/{model}/steering/{trait}/alpha_sweep/scores.parquet",
    output:
        "results/{study}/{model}/steering/{trait}/alpha_sweep/effects.parquet",
    log:
        "results/{study}/{model}/logs/summarize_steering/{trait}.log",
    benchmark:
        "results/{study}/{model}/benchmarks/summarize_steering/{trait}.tsv"
    group:
        batch_group("summarize_steering")
    conda:
        "../envs/personae.yaml"
    resources:
        gres=judge_gres,
        mem_mb=judge_memory,
        runtime=judge_minutes,
        slurm_partition=judge_partition,
    params:
        max_unscored=study.config.judging.max_unscored,
        seed=study.config.seed,
        code=code_digest("steering/summarize_steering"),
    script:
        "../scripts/steering/summarize_steering.py"
