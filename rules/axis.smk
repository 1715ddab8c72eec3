"""The Assistant Axis and the persona space."""


rule compute_axis:
    input:
        vectors=role_files("vectors.parquet"),
        default=DEFAULT_SUMS,
    output:
        directions="results/{study}/{model}/axis/directions.parquet",
        role_vectors="results/{study}/{model}/axis/role_vectors.parquet",
    log:
        "results/{study}/{model}/logs/compute_axis.log",
    benchmark:
        "results/{study}/{model}/benchmarks/compute_axis.tsv"
    conda:
        "../envs/personae.yaml"
    params:
        least={
            "fully": study.config.roles.min_fully,
            "somewhat": study.config.roles.min_somewhat,
        },
        random_directions=study.config.capping.random_directions,
        seed=study.config.seed,
        code=code_digest("axis/compute_axis"),
    script:
        "../scripts/axis/compute_axis.py"


rule analyze_persona_space:
    input:
        role_vectors="results/{study}/{model}/axis/role_vectors.parquet",
        directions="results/{study}/{model}/axis/directions.parquet",
        sums=role_files("sums.parquet"),
        kept=role_files("kept.parquet"),
    output:
        layers="results/{study}/{model}/axis/space_layers.parquet",
        components="results/{study}/{model}/axis/space_components.parquet",
        coordinates="results/{study}/{model}/axis/space_coordinates.parquet",
        cosines="results/{study}/{model}/axis/cosines.parquet",
        loadings="results/{study}/{model}/axis/role_loadings.parquet",
    log:
        "results/{study}/{model}/logs/analyze_persona_space.log",
    benchmark:
        "results/{study}/{model}/benchmarks/analyze_persona_space.tsv"
    conda:
        "../envs/personae.yaml"
    params:
        roles=ROLES,
        axis=study.config.axis.model_dump(),
        middle_layer=middle_layer,
        seed=study.config.seed,
        code=code_digest("axis/analyze_persona_space"),
    script:
        "../scripts/axis/analyze_persona_space.py"


rule measure_separation:
    input:
        projections=ROLE_PROJECTIONS,
    output:
        "results/{study}/{model}/axis/separation.parquet",
    log:
        "results/{study}/{model}/logs/measure_separation.log",
    benchmark:
        "results/{study}/{model}/benchmarks/measure_separation.tsv"
    conda:
        "../envs/personae.yaml"
    params:
        axis=study.config.axis.model_dump(),
        seed=study.config.seed,
        code=code_digest("axis/measure_separation"),
    script:
        "../scripts/axis/measure_separation.py"


rule measure_heldout_roles:
    input:
        role_vectors="results/{study}/{model}/axis/role_vectors.parquet",
        kept=role_files("kept.parquet"),
    output:
        "results/{study}/{model}/axis/heldout_roles.parquet",
    log:
        "results/{study}/{model}/logs/measure_heldout_roles.log",
    benchmark:
        "results/{study}/{model}/benchmarks/measure_heldout_roles.tsv"
    conda:
        "../envs/personae.yaml"
    params:
        roles=ROLES,
        axis=study.config.axis.model_dump(),
        middle_layer=middle_layer,
        seed=study.config.seed,
        code=code_digest("axis/measure_heldout_roles"),
    script:
        "../scripts/axis/measure_heldout_roles.py"


rule compare_models:
    input:
        cosines=expand("results/{{study}}/{model}/axis/cosines.parquet", model=MODELS),
        loadings=expand(
            "results/{{study}}/{model}/axis/role_loadings.parquet", model=MODELS
        ),
    output:
        "results/{study}/model_comparison.parquet",
    log:
        "results/{study}/logs/compare_models.log",
    benchmark:
        "results/{study}/benchmarks/compare_models.tsv"
    conda:
        "../envs/personae.yaml"
    params:
        models=node_params.compared_models(study),
        axis=study.config.axis.model_dump(),
        seed=study.config.seed,
        code=code_digest("axis/compare_models"),
    script:
        "../scripts/axis/compare_models.py"
