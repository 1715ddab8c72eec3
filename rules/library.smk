"""Drafts of traits that a study only describes, and the card of the persona library."""


rule write_library_card:
    input:
        models=card_models(),
    output:
        "results/{study}/library_card.parquet",
    log:
        "results/{study}/logs/write_library_card.log",
    benchmark:
        "results/{study}/benchmarks/write_library_card.tsv"
    conda:
        "../envs/personae.yaml"
    resources:
        gres=resources.gpu_request(CARD_MODEL),
        mem_mb=card_memory,
        slurm_partition=resources.partition(CARD_MODEL),
    params:
        engine=node_params.engine_record(study, MODELS[0]),
        judging=node_params.card_judging(study),
        library=study.config.library.model_dump(),
        base=shipped("."),
        scope=study.card_scope,
        # The node reads the files; their digest reruns it after an edit.
        digest=library_digest(study.config.library, ROOT),
        code=code_digest("library/write_library_card"),
    script:
        "../scripts/library/write_library_card.py"


rule draft_trait:
    output:
        library_trait("{drafted}"),
    log:
        f"results/{STUDY_NAME}/logs/draft_trait/{{drafted}}.log",
    benchmark:
        f"results/{STUDY_NAME}/benchmarks/draft_trait/{{drafted}}.tsv"
    wildcard_constraints:
        drafted="|".join(study.undrafted) or "none",
    conda:
        "../envs/personae.yaml"
    resources:
        judge_slots=1,
    params:
        description=described_trait,
        root=shipped("."),
        code=code_digest("library/draft_trait"),
    script:
        "../scripts/library/draft_trait.py"
