"""Fine-tuning on training data of traits, and screening of such data."""


rule train_adapter:
    input:
        unpack(training_vectors),
        model=model_manifest,
    output:
        adapter=directory("results/{study}/{model}/finetuning/adapters/{adapter}"),
        losses="results/{study}/{model}/finetuning/training/{adapter}.parquet",
    log:
        "results/{study}/{model}/logs/train_adapter/{adapter}.log",
    benchmark:
        "results/{study}/{model}/benchmarks/train_adapter/{adapter}.tsv"
    group:
        batch_group("train_adapter")
    conda:
        "../envs/personae.yaml"
    resources:
        gres=model_gres,
        mem_mb=model_memory,
        runtime=model_minutes,
        slurm_partition=model_partition,
    params:
        engine=engine_params,
        training=from_study(node_params.training),
        code=code_digest("finetuning/train_adapter"),
    script:
        "../scripts/finetuning/train_adapter.py"


rule answer_finetuned:
    input:
        model=model_manifest,
        adapters=trained_adapters,
        vectors=trait_files("vectors.parquet"),
        layers=layer_choices(),
    output:
        responses="results/{study}/{model}/finetuning/{trait}/responses.parquet",
        prompts="results/{study}/{model}/finetuning/{trait}/prompts.parquet",
        closed="results/{study}/{model}/finetuning/{trait}/closed.parquet",
    log:
        "results/{study}/{model}/logs/answer_finetuned/{trait}.log",
    benchmark:
        "results/{study}/{model}/benchmarks/answer_finetuned/{trait}.tsv"
    group:
        batch_group("answer_finetuned")
    conda:
        "../envs/personae.yaml"
    resources:
        gres=model_gres,
        mem_mb=model_memory,
        runtime=model_minutes,
        slurm_partition=model_partition,
    params:
        engine=engine_params,
        asked=from_study(node_params.finetuned_answers),
        code=code_digest("finetuning/answer_finetuned"),
    script:
        "../scripts/finetuning/answer_finetuned.py"


rule judge_finetuned:
    input:
        responses="results/{study}/{model}/finetuning/{trait}/responses.parquet",
        calibration="results/{study}/{model}/judging/calibration.parquet",
    output:
        "results/{study}/{model}/finetuning/{trait}/scores.parquet",
    log:
        "results/{study}/{model}/logs/judge_finetuned/{trait}.log",
    benchmark:
        "results/{study}/{model}/benchmarks/judge_finetuned/{trait}.tsv"
    group:
        batch_group("judge_finetuned")
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
        code=code_digest("finetuning/judge_finetuned"),
    script:
        "../scripts/finetuning/judge_finetuned.py"


rule measure_finetuning:
    input:
        responses=finetuning_files("responses.parquet"),
        scores=finetuning_files("scores.parquet"),
        prompts=finetuning_files("prompts.parquet"),
        closed=finetuning_files("closed.parquet"),
        vectors=trait_files("vectors.parquet"),
        layers=layer_choices(),
    output:
        shifts="results/{study}/{model}/finetuning/shifts.parquet",
        correlations="results/{study}/{model}/finetuning/correlations.parquet",
        defences="results/{study}/{model}/finetuning/defences.parquet",
    log:
        "results/{study}/{model}/logs/measure_finetuning.log",
    benchmark:
        "results/{study}/{model}/benchmarks/measure_finetuning.tsv"
    conda:
        "../envs/personae.yaml"
    params:
        traits=TRAITS,
        max_unscored=study.config.judging.max_unscored,
        seed=study.config.seed,
        code=code_digest("finetuning/measure_finetuning"),
    script:
        "../scripts/finetuning/measure_finetuning.py"


rule screen_training_data:
    input:
        unpack(screened_file),
        model=model_manifest,
        vectors=trait_files("vectors.parquet"),
        layers=layer_choices(),
    output:
        answers="results/{study}/{model}/screening/{corpus}/own_answers.parquet",
        rows="results/{study}/{model}/screening/{corpus}/rows.parquet",
    log:
        "results/{study}/{model}/logs/screen_training_data/{corpus}.log",
    benchmark:
        "results/{study}/{model}/benchmarks/screen_training_data/{corpus}.tsv"
    group:
        batch_group("screen_training_data")
    conda:
        "../envs/personae.yaml"
    resources:
        gres=model_gres,
        mem_mb=model_memory,
        runtime=model_minutes,
        slurm_partition=model_partition,
    params:
        engine=engine_params,
        traits=TRAITS,
        screening=from_study(node_params.screening),
        code=code_digest("finetuning/screen_training_data"),
    script:
        "../scripts/finetuning/screen_training_data.py"


rule summarize_screening:
    input:
        unpack(caused_shifts),
        rows=screening_files("rows.parquet"),
    output:
        summary="results/{study}/{model}/screening/summary.parquet",
        flagged="results/{study}/{model}/screening/flagged.parquet",
    log:
        "results/{study}/{model}/logs/summarize_screening.log",
    benchmark:
        "results/{study}/{model}/benchmarks/summarize_screening.tsv"
    conda:
        "../envs/personae.yaml"
    params:
        datasets={name: list(data) for name, data in DATASETS.items()},
        percentile=study.config.screening.threshold,
        code=code_digest("finetuning/summarize_screening"),
    script:
        "../scripts/finetuning/summarize_screening.py"
