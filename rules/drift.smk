"""Persona drift: the projection of each turn on the axis, with and without capping."""


rule replay_conversations:
    input:
        model=model_manifest,
        directions="results/{study}/{model}/axis/directions.parquet",
        floors="results/{study}/{model}/capping/floors.parquet",
    output:
        "results/{study}/{model}/drift/replays.parquet",
    log:
        "results/{study}/{model}/logs/replay_conversations.log",
    benchmark:
        "results/{study}/{model}/benchmarks/replay_conversations.tsv"
    group:
        batch_group("replay_conversations")
    conda:
        "../envs/personae.yaml"
    resources:
        gres=model_gres,
        mem_mb=model_memory,
        runtime=model_minutes,
        slurm_partition=model_partition,
    params:
        engine=engine_params,
        cap=from_study(node_params.drift_cap),
        conversations=node_params.drift_conversations(study),
        sampling=study.config.drift.sampling.model_dump(),
        seed=study.config.seed,
        code=code_digest("drift/replay_conversations"),
    script:
        "../scripts/drift/replay_conversations.py"


rule simulate_conversations:
    input:
        model=model_manifest,
    output:
        "results/{study}/{model}/drift/simulated.parquet",
    log:
        "results/{study}/{model}/logs/simulate_conversations.log",
    benchmark:
        "results/{study}/{model}/benchmarks/simulate_conversations.tsv"
    group:
        batch_group("simulate_conversations")
    conda:
        "../envs/personae.yaml"
    resources:
        gres=model_gres,
        judge_slots=1,
        mem_mb=model_memory,
        runtime=model_minutes,
        slurm_partition=model_partition,
    params:
        engine=engine_params,
        simulation=node_params.simulation(study),
        code=code_digest("drift/simulate_conversations"),
    script:
        "../scripts/drift/simulate_conversations.py"


rule project_conversations:
    input:
        model=model_manifest,
        directions="results/{study}/{model}/axis/directions.parquet",
        replays="results/{study}/{model}/drift/replays.parquet",
        simulated=simulated_conversations,
    output:
        "results/{study}/{model}/drift/projections.parquet",
    log:
        "results/{study}/{model}/logs/project_conversations.log",
    benchmark:
        "results/{study}/{model}/benchmarks/project_conversations.tsv"
    group:
        batch_group("project_conversations")
    conda:
        "../envs/personae.yaml"
    resources:
        gres=model_gres,
        mem_mb=model_memory,
        runtime=model_minutes,
        slurm_partition=model_partition,
    params:
        engine=engine_params,
        conversations=node_params.drift_conversations(study),
        middle_layer=middle_layer,
        seed=study.config.seed,
        code=code_digest("drift/project_conversations"),
    script:
        "../scripts/drift/project_conversations.py"


rule summarize_drift:
    input:
        "results/{study}/{model}/drift/projections.parquet",
    output:
        "results/{study}/{model}/drift/summary.parquet",
    log:
        "results/{study}/{model}/logs/summarize_drift.log",
    benchmark:
        "results/{study}/{model}/benchmarks/summarize_drift.tsv"
    conda:
        "../envs/personae.yaml"
    params:
        layer=middle_layer,
        min_samples=study.config.drift.min_samples,
        simulated_min_samples=simulated_min_samples(),
        seed=study.config.seed,
        code=code_digest("drift/summarize_drift"),
    script:
        "../scripts/drift/summarize_drift.py"


rule predict_drift:
    input:
        model=model_manifest,
        embedder=EMBEDDER_MANIFEST,
        projections="results/{study}/{model}/drift/projections.parquet",
        replays="results/{study}/{model}/drift/replays.parquet",
        simulated=simulated_conversations,
    output:
        "results/{study}/{model}/drift/predictions.parquet",
    log:
        "results/{study}/{model}/logs/predict_drift.log",
    benchmark:
        "results/{study}/{model}/benchmarks/predict_drift.tsv"
    group:
        batch_group("predict_drift")
    conda:
        "../envs/personae.yaml"
    resources:
        gres=model_gres,
        mem_mb=model_memory,
        runtime=model_minutes,
        slurm_partition=model_partition,
    params:
        engine=engine_params,
        conversations=node_params.drift_conversations(study),
        axis=study.config.axis.model_dump(),
        middle_layer=middle_layer,
        seed=study.config.seed,
        code=code_digest("drift/predict_drift"),
    script:
        "../scripts/drift/predict_drift.py"
