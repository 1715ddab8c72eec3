"""The layer sweep, the choice of a layer, and steering at that layer."""


rule sweep_trait_layers:
    input:
        unpack(residual_lengths),
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
        labelled=shipped(study.config.library.judging),
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


rule analyze_layer_choice:
    input:
        model=model_manifest,
        responses="results/{study}/{model}/steering/{trait}/layer_sweep/responses.parquet",
        scores="results/{study}/{model}/steering/{trait}/layer_sweep/scores.parquet",
        vectors="results/{study}/{model}/traits/{trait}/vectors.parquet",
        default=DEFAULT_SUMS,
        sides=expand(
            "results/{{study}}/{{model}}/traits/{{trait}}/{polarity}/responses.parquet",
            polarity=POLARITIES,
        ),
    output:
        "results/{study}/{model}/steering/{trait}/layer_sweep/choice.parquet",
    log:
        "results/{study}/{model}/logs/analyze_layer_choice/{trait}.log",
    benchmark:
        "results/{study}/{model}/benchmarks/analyze_layer_choice/{trait}.tsv"
    group:
        batch_group("analyze_layer_choice")
    conda:
        "../envs/personae.yaml"
    resources:
        gres=model_gres,
        mem_mb=model_memory,
        runtime=model_minutes,
        slurm_partition=model_partition,
    params:
        engine=engine_params,
        coherence_floor=study.config.layer_sweep.coherence_floor,
        selector_responses=study.config.layer_sweep.selector_responses,
        max_unscored=study.config.judging.max_unscored,
        draws=study.config.axis.bootstrap,
        seed=study.config.seed,
        code=code_digest("steering/analyze_layer_choice"),
    script:
        "../scripts/steering/analyze_layer_choice.py"


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
        labelled=shipped(study.config.library.judging),
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


rule steer_compared_arms:
    input:
        unpack(partner_files),
        model=model_manifest,
        vectors="results/{study}/{model}/traits/{trait}/vectors.parquet",
        layer="results/{study}/{model}/steering/{trait}/layer_sweep/effects.parquet",
    output:
        responses="results/{study}/{model}/steering/{trait}/comparison/responses.parquet",
        closed="results/{study}/{model}/steering/{trait}/comparison/closed.parquet",
    log:
        "results/{study}/{model}/logs/steer_compared_arms/{trait}.log",
    benchmark:
        "results/{study}/{model}/benchmarks/steer_compared_arms/{trait}.tsv"
    group:
        batch_group("steer_compared_arms")
    conda:
        "../envs/personae.yaml"
    resources:
        gres=model_gres,
        mem_mb=model_memory,
        runtime=model_minutes,
        slurm_partition=model_partition,
    params:
        engine=engine_params,
        options=from_study(node_params.compared_arms),
        code=code_digest("steering/steer_compared_arms"),
    script:
        "../scripts/steering/steer_compared_arms.py"


rule judge_compared_arms:
    input:
        responses="results/{study}/{model}/steering/{trait}/comparison/responses.parquet",
        calibration="results/{study}/{model}/judging/calibration.parquet",
    output:
        "results/{study}/{model}/steering/{trait}/comparison/scores.parquet",
    log:
        "results/{study}/{model}/logs/judge_compared_arms/{trait}.log",
    benchmark:
        "results/{study}/{model}/benchmarks/judge_compared_arms/{trait}.tsv"
    group:
        batch_group("judge_compared_arms")
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
        judging=node_params.judging(study, {"trait": TRAITS, "coherence": [""]}),
        labelled=shipped(study.config.library.judging),
        traits={trait: node_params.judged_trait(study, trait) for trait in TRAITS},
        code=code_digest("steering/judge_compared_arms"),
    script:
        "../scripts/steering/judge_compared_arms.py"


rule summarize_compared_arms:
    input:
        responses=comparison_files("responses.parquet"),
        scores=comparison_files("scores.parquet"),
        closed=comparison_files("closed.parquet"),
    output:
        scored="results/{study}/{model}/steering/compared_scores.parquet",
        comparison="results/{study}/{model}/steering/comparison.parquet",
    log:
        "results/{study}/{model}/logs/summarize_compared_arms.log",
    benchmark:
        "results/{study}/{model}/benchmarks/summarize_compared_arms.tsv"
    conda:
        "../envs/personae.yaml"
    params:
        max_unscored=study.config.judging.max_unscored,
        code=code_digest("steering/summarize_compared_arms"),
    script:
        "../scripts/steering/summarize_compared_arms.py"
