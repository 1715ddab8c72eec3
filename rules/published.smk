"""Published vectors: imported into the workflow's tables and compared with its own."""


rule import_published_vectors:
    input:
        files=published_files,
        directions="results/{study}/{model}/axis/directions.parquet",
        role_vectors="results/{study}/{model}/axis/role_vectors.parquet",
        trait_vectors=trait_files("vectors.parquet"),
    output:
        directions="results/{study}/{model}/published/directions.parquet",
        role_vectors="results/{study}/{model}/published/role_vectors.parquet",
        trait_vectors="results/{study}/{model}/published/trait_vectors.parquet",
        floors="results/{study}/{model}/published/floors.parquet",
        published_cosines="results/{study}/{model}/published/cosines.parquet",
    log:
        "results/{study}/{model}/logs/import_published_vectors.log",
    benchmark:
        "results/{study}/{model}/benchmarks/import_published_vectors.tsv"
    conda:
        "../envs/personae.yaml"
    params:
        sources=published_sources,
        row=model_row,
        code=code_digest("published/import_published_vectors"),
    script:
        "../scripts/published/import_published_vectors.py"
