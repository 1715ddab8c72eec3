"""Trait vectors read as tokens and as features of sparse autoencoders."""


rule read_tokens:
    input:
        model=model_manifest,
        vectors=trait_files("vectors.parquet"),
        layers=layer_choices(),
        directions="results/{study}/{model}/axis/directions.parquet",
    output:
        "results/{study}/{model}/reading/tokens.parquet",
    log:
        "results/{study}/{model}/logs/read_tokens.log",
    benchmark:
        "results/{study}/{model}/benchmarks/read_tokens.tsv"
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
        middle_layer=middle_layer,
        tokens=study.config.reading.tokens,
        seed=study.config.seed,
        code=code_digest("reading/read_tokens"),
    script:
        "../scripts/reading/read_tokens.py"


rule read_features:
    input:
        unpack(autoencoder_files),
        model=model_manifest,
        vectors=trait_files("vectors.parquet"),
        responses=both_sides("responses.parquet"),
    output:
        "results/{study}/{model}/reading/{autoencoder}.features.parquet",
    log:
        "results/{study}/{model}/logs/read_features/{autoencoder}.log",
    benchmark:
        "results/{study}/{model}/benchmarks/read_features/{autoencoder}.tsv"
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
        source=autoencoder_source,
        features=study.config.reading.features,
        seed=study.config.seed,
        code=code_digest("reading/read_features"),
    script:
        "../scripts/reading/read_features.py"
