"""Prepare every model: a folder of safetensors and a manifest with its digest."""


# Compute nodes of a cluster often have no network, so models are fetched where Snakemake runs.
localrules:
    prepare_model,


rule prepare_model:
    output:
        manifest="results/models/{model}/manifest.json",
        weights=directory("results/models/{model}/weights"),
    log:
        "results/models/{model}/logs/prepare_model.log",
    benchmark:
        "results/models/{model}/benchmarks/prepare_model.tsv"
    conda:
        "../envs/personae.yaml"
    params:
        row=model_row,
        code=code_digest("models/prepare_model"),
    script:
        "../scripts/models/prepare_model.py"
