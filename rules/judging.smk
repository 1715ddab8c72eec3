"""Calibrate the judges on the labelled set, and measure their agreement with its labels."""


rule calibrate_judges:
    input:
        models=judge_models,
    output:
        calibration="results/{study}/{model}/judging/calibration.parquet",
        scores="results/{study}/{model}/judging/labelled_scores.parquet",
        agreement="results/{study}/{model}/judging/agreement.parquet",
        confusion="results/{study}/{model}/judging/confusion.parquet",
        pairs="results/{study}/{model}/judging/judge_pairs.parquet",
        bias="results/{study}/{model}/judging/judge_bias.parquet",
    log:
        "results/{study}/{model}/logs/calibrate_judges.log",
    benchmark:
        "results/{study}/{model}/benchmarks/calibrate_judges.tsv"
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
        judging=node_params.measuring(study),
        labelled=labelled_answers(),
        traits=node_params.judged_traits(study),
        roles=node_params.judged_roles(study),
        seed=study.config.seed,
        code=code_digest("judging/calibrate_judges"),
    script:
        "../scripts/judging/calibrate_judges.py"


rule summarize_scores:
    input:
        unpack(judged_tables),
        labelled_scores="results/{study}/{model}/judging/labelled_scores.parquet",
    output:
        summary="results/{study}/{model}/judging/score_summary.parquet",
        pairs="results/{study}/{model}/judging/study_pairs.parquet",
        confusion="results/{study}/{model}/judging/study_confusion.parquet",
    log:
        "results/{study}/{model}/logs/summarize_scores.log",
    benchmark:
        "results/{study}/{model}/benchmarks/summarize_scores.tsv"
    conda:
        "../envs/personae.yaml"
    params:
        kinds=registry.judged_kinds(),
        seed=study.config.seed,
        code=code_digest("judging/summarize_scores"),
    script:
        "../scripts/judging/summarize_scores.py"
