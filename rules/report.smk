"""Figures, the scorecard of both papers' claims, and the report."""


rule plot_persona_space:
    input:
        coordinates="results/{study}/{model}/axis/space_coordinates.parquet",
        components="results/{study}/{model}/axis/space_components.parquet",
    output:
        report(
            "results/{study}/figures/{model}/persona_space.svg",
            caption="report/plot_persona_space.rst",
            category="Persona space",
            labels={"model": "{model}", "figure": "Roles and variance"},
        ),
        pdf="results/{study}/figures/{model}/persona_space.pdf",
        data="results/{study}/figures/{model}/persona_space.csv",
    log:
        "results/{study}/{model}/logs/plot_persona_space.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_persona_space.tsv"
    group:
        batch_group("plot_persona_space")
    conda:
        "../envs/personae.yaml"
    params:
        middle_layer=middle_layer,
        variance_threshold=study.config.axis.variance_threshold,
        code=code_digest("report/plot_persona_space"),
    script:
        "../scripts/report/plot_persona_space.py"


rule plot_axis_layers:
    input:
        "results/{study}/{model}/axis/space_layers.parquet",
    output:
        report(
            "results/{study}/figures/{model}/axis_layers.svg",
            caption="report/plot_axis_layers.rst",
            category="Persona space",
            labels={"model": "{model}", "figure": "Axis against PC 1"},
        ),
        pdf="results/{study}/figures/{model}/axis_layers.pdf",
        data="results/{study}/figures/{model}/axis_layers.csv",
    log:
        "results/{study}/{model}/logs/plot_axis_layers.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_axis_layers.tsv"
    group:
        batch_group("plot_axis_layers")
    conda:
        "../envs/personae.yaml"
    params:
        middle_layer=middle_layer,
        code=code_digest("report/plot_axis_layers"),
    script:
        "../scripts/report/plot_axis_layers.py"


rule plot_model_comparison:
    input:
        "results/{study}/model_comparison.parquet",
    output:
        report(
            "results/{study}/figures/{model}/model_comparison.svg",
            caption="report/plot_model_comparison.rst",
            category="Persona space",
            labels={"model": "{model}", "figure": "Other models"},
        ),
        pdf="results/{study}/figures/{model}/model_comparison.pdf",
        data="results/{study}/figures/{model}/model_comparison.csv",
    log:
        "results/{study}/{model}/logs/plot_model_comparison.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_model_comparison.tsv"
    group:
        batch_group("plot_model_comparison")
    conda:
        "../envs/personae.yaml"
    params:
        code=code_digest("report/plot_model_comparison"),
    script:
        "../scripts/report/plot_model_comparison.py"


rule plot_role_cosines:
    input:
        "results/{study}/{model}/axis/cosines.parquet",
    output:
        report(
            "results/{study}/figures/{model}/role_cosines.svg",
            caption="report/plot_role_cosines.rst",
            category="Persona space",
            labels={"model": "{model}", "figure": "Cosines between roles"},
        ),
        pdf="results/{study}/figures/{model}/role_cosines.pdf",
        data="results/{study}/figures/{model}/role_cosines.csv",
    log:
        "results/{study}/{model}/logs/plot_role_cosines.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_role_cosines.tsv"
    group:
        batch_group("plot_role_cosines")
    conda:
        "../envs/personae.yaml"
    params:
        middle_layer=middle_layer,
        code=code_digest("report/plot_role_cosines"),
    script:
        "../scripts/report/plot_role_cosines.py"


rule plot_role_loadings:
    input:
        "results/{study}/{model}/axis/role_loadings.parquet",
    output:
        report(
            "results/{study}/figures/{model}/role_loadings.svg",
            caption="report/plot_role_loadings.rst",
            category="Persona space",
            labels={"model": "{model}", "figure": "Role loadings"},
        ),
        pdf="results/{study}/figures/{model}/role_loadings.pdf",
        data="results/{study}/figures/{model}/role_loadings.csv",
    log:
        "results/{study}/{model}/logs/plot_role_loadings.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_role_loadings.tsv"
    group:
        batch_group("plot_role_loadings")
    conda:
        "../envs/personae.yaml"
    params:
        code=code_digest("report/plot_role_loadings"),
    script:
        "../scripts/report/plot_role_loadings.py"


rule plot_separation:
    input:
        separation="results/{study}/{model}/axis/separation.parquet",
        projections=ROLE_PROJECTIONS,
    output:
        report(
            "results/{study}/figures/{model}/separation.svg",
            caption="report/plot_separation.rst",
            category="Persona space",
            labels={"model": "{model}", "figure": "Default against roles"},
        ),
        pdf="results/{study}/figures/{model}/separation.pdf",
        data="results/{study}/figures/{model}/separation.csv",
    log:
        "results/{study}/{model}/logs/plot_separation.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_separation.tsv"
    group:
        batch_group("plot_separation")
    conda:
        "../envs/personae.yaml"
    params:
        middle_layer=middle_layer,
        code=code_digest("report/plot_separation"),
    script:
        "../scripts/report/plot_separation.py"


rule plot_heldout_roles:
    input:
        "results/{study}/{model}/axis/heldout_roles.parquet",
    output:
        report(
            "results/{study}/figures/{model}/heldout_roles.svg",
            caption="report/plot_heldout_roles.rst",
            category="Persona space",
            labels={"model": "{model}", "figure": "Held-out roles"},
        ),
        pdf="results/{study}/figures/{model}/heldout_roles.pdf",
        data="results/{study}/figures/{model}/heldout_roles.csv",
    log:
        "results/{study}/{model}/logs/plot_heldout_roles.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_heldout_roles.tsv"
    group:
        batch_group("plot_heldout_roles")
    conda:
        "../envs/personae.yaml"
    params:
        code=code_digest("report/plot_heldout_roles"),
    script:
        "../scripts/report/plot_heldout_roles.py"


rule plot_trait_space:
    input:
        cosines="results/{study}/{model}/trait_space/cosines.parquet",
        components="results/{study}/{model}/trait_space/components.parquet",
        plane="results/{study}/{model}/trait_space/plane.parquet",
    output:
        report(
            "results/{study}/figures/{model}/trait_space.svg",
            caption="report/plot_trait_space.rst",
            category="Persona space",
            labels={"model": "{model}", "figure": "Trait space"},
        ),
        pdf="results/{study}/figures/{model}/trait_space.pdf",
        data="results/{study}/figures/{model}/trait_space.csv",
    log:
        "results/{study}/{model}/logs/plot_trait_space.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_trait_space.tsv"
    group:
        batch_group("plot_trait_space")
    conda:
        "../envs/personae.yaml"
    params:
        code=code_digest("report/plot_trait_space"),
    script:
        "../scripts/report/plot_trait_space.py"


rule plot_trait_geometry:
    input:
        cosines="results/{study}/{model}/traits/cosines.parquet",
        pairs="results/{study}/{model}/traits/pair_cosines.parquet",
        positions="results/{study}/{model}/traits/positions.parquet",
    output:
        report(
            "results/{study}/figures/{model}/trait_geometry.svg",
            caption="report/plot_trait_geometry.rst",
            category="Traits",
            labels={"model": "{model}", "figure": "Geometry"},
        ),
        pdf="results/{study}/figures/{model}/trait_geometry.pdf",
        data="results/{study}/figures/{model}/trait_geometry.csv",
    log:
        "results/{study}/{model}/logs/plot_trait_geometry.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_trait_geometry.tsv"
    group:
        batch_group("plot_trait_geometry")
    conda:
        "../envs/personae.yaml"
    params:
        middle_layer=middle_layer,
        code=code_digest("report/plot_trait_geometry"),
    script:
        "../scripts/report/plot_trait_geometry.py"


rule plot_layer_sweep:
    input:
        expand(
            "results/{{study}}/{{model}}/steering/{trait}/layer_sweep/effects.parquet",
            trait=TRAITS,
        ),
    output:
        report(
            "results/{study}/figures/{model}/layer_sweep.svg",
            caption="report/plot_layer_sweep.rst",
            category="Traits",
            labels={"model": "{model}", "figure": "Layer sweep"},
        ),
        pdf="results/{study}/figures/{model}/layer_sweep.pdf",
        data="results/{study}/figures/{model}/layer_sweep.csv",
    log:
        "results/{study}/{model}/logs/plot_layer_sweep.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_layer_sweep.tsv"
    group:
        batch_group("plot_layer_sweep")
    conda:
        "../envs/personae.yaml"
    params:
        judge=study.config.judging.primary,
        coherence_floor=study.config.layer_sweep.coherence_floor,
        code=code_digest("report/plot_layer_sweep"),
    script:
        "../scripts/report/plot_layer_sweep.py"


rule plot_steering:
    input:
        expand(
            "results/{{study}}/{{model}}/steering/{trait}/alpha_sweep/effects.parquet",
            trait=TRAITS,
        ),
    output:
        report(
            "results/{study}/figures/{model}/steering.svg",
            caption="report/plot_steering.rst",
            category="Traits",
            labels={"model": "{model}", "figure": "Steering"},
        ),
        pdf="results/{study}/figures/{model}/steering.pdf",
        data="results/{study}/figures/{model}/steering.csv",
    log:
        "results/{study}/{model}/logs/plot_steering.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_steering.tsv"
    group:
        batch_group("plot_steering")
    conda:
        "../envs/personae.yaml"
    params:
        judge=study.config.judging.primary,
        coherence_floor=study.config.layer_sweep.coherence_floor,
        code=code_digest("report/plot_steering"),
    script:
        "../scripts/report/plot_steering.py"


rule plot_monitoring:
    input:
        points=monitoring_files("points.parquet"),
        correlations=monitoring_files("correlations.parquet"),
        alerts=monitoring_files("alerts.parquet"),
    output:
        report(
            "results/{study}/figures/{model}/monitoring.svg",
            caption="report/plot_monitoring.rst",
            category="Traits",
            labels={"model": "{model}", "figure": "Monitoring"},
        ),
        pdf="results/{study}/figures/{model}/monitoring.pdf",
        data="results/{study}/figures/{model}/monitoring.csv",
    log:
        "results/{study}/{model}/logs/plot_monitoring.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_monitoring.tsv"
    group:
        batch_group("plot_monitoring")
    conda:
        "../envs/personae.yaml"
    params:
        code=code_digest("report/plot_monitoring"),
    script:
        "../scripts/report/plot_monitoring.py"


rule plot_susceptibility:
    input:
        "results/{study}/{model}/susceptibility/shares.parquet",
    output:
        report(
            "results/{study}/figures/{model}/susceptibility.svg",
            caption="report/plot_susceptibility.rst",
            category="Steering along the axis",
            labels={"model": "{model}", "figure": "Speakers"},
        ),
        pdf="results/{study}/figures/{model}/susceptibility.pdf",
        data="results/{study}/figures/{model}/susceptibility.csv",
    log:
        "results/{study}/{model}/logs/plot_susceptibility.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_susceptibility.tsv"
    group:
        batch_group("plot_susceptibility")
    conda:
        "../envs/personae.yaml"
    params:
        judge=node_params.deciding_judge(study, "role_label"),
        code=code_digest("report/plot_susceptibility"),
    script:
        "../scripts/report/plot_susceptibility.py"


rule plot_trait_positions:
    input:
        pairs="results/{study}/{model}/traits/pair_cosines.parquet",
        positions="results/{study}/{model}/traits/positions.parquet",
    output:
        report(
            "results/{study}/figures/{model}/trait_positions.svg",
            caption="report/plot_trait_positions.rst",
            category="Traits",
            labels={"model": "{model}", "figure": "Geometry and nulls"},
        ),
        pdf="results/{study}/figures/{model}/trait_positions.pdf",
        data="results/{study}/figures/{model}/trait_positions.csv",
    log:
        "results/{study}/{model}/logs/plot_trait_positions.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_trait_positions.tsv"
    group:
        batch_group("plot_trait_positions")
    conda:
        "../envs/personae.yaml"
    params:
        code=code_digest("report/plot_trait_positions"),
    script:
        "../scripts/report/plot_trait_positions.py"


rule plot_layer_choice:
    input:
        choice_files(),
    output:
        report(
            "results/{study}/figures/{model}/layer_choice.svg",
            caption="report/plot_layer_choice.rst",
            category="Steering",
            labels={"model": "{model}", "figure": "Choice of the layer"},
        ),
        pdf="results/{study}/figures/{model}/layer_choice.pdf",
        data="results/{study}/figures/{model}/layer_choice.csv",
    log:
        "results/{study}/{model}/logs/plot_layer_choice.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_layer_choice.tsv"
    group:
        batch_group("plot_layer_choice")
    conda:
        "../envs/personae.yaml"
    params:
        code=code_digest("report/plot_layer_choice"),
    script:
        "../scripts/report/plot_layer_choice.py"


rule plot_comparison:
    input:
        "results/{study}/{model}/steering/comparison.parquet",
    output:
        report(
            "results/{study}/figures/{model}/comparison.svg",
            caption="report/plot_comparison.rst",
            category="Steering",
            labels={"model": "{model}", "figure": "Ways of steering"},
        ),
        pdf="results/{study}/figures/{model}/comparison.pdf",
        data="results/{study}/figures/{model}/comparison.csv",
    log:
        "results/{study}/{model}/logs/plot_comparison.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_comparison.tsv"
    group:
        batch_group("plot_comparison")
    conda:
        "../envs/personae.yaml"
    params:
        code=code_digest("report/plot_comparison"),
    script:
        "../scripts/report/plot_comparison.py"


rule plot_tokens:
    input:
        "results/{study}/{model}/reading/tokens.parquet",
    output:
        report(
            "results/{study}/figures/{model}/tokens.svg",
            caption="report/plot_tokens.rst",
            category="Interpretation",
            labels={"model": "{model}", "figure": "Tokens"},
        ),
        pdf="results/{study}/figures/{model}/tokens.pdf",
        data="results/{study}/figures/{model}/tokens.csv",
    log:
        "results/{study}/{model}/logs/plot_tokens.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_tokens.tsv"
    group:
        batch_group("plot_tokens")
    conda:
        "../envs/personae.yaml"
    params:
        code=code_digest("report/plot_tokens"),
    script:
        "../scripts/report/plot_tokens.py"


rule plot_features:
    input:
        feature_files,
    output:
        report(
            "results/{study}/figures/{model}/features.svg",
            caption="report/plot_features.rst",
            category="Interpretation",
            labels={"model": "{model}", "figure": "Features"},
        ),
        pdf="results/{study}/figures/{model}/features.pdf",
        data="results/{study}/figures/{model}/features.csv",
    log:
        "results/{study}/{model}/logs/plot_features.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_features.tsv"
    group:
        batch_group("plot_features")
    conda:
        "../envs/personae.yaml"
    params:
        code=code_digest("report/plot_features"),
    script:
        "../scripts/report/plot_features.py"


rule plot_finetuning:
    input:
        shifts="results/{study}/{model}/finetuning/shifts.parquet",
        correlations="results/{study}/{model}/finetuning/correlations.parquet",
        defences="results/{study}/{model}/finetuning/defences.parquet",
    output:
        report(
            "results/{study}/figures/{model}/finetuning.svg",
            caption="report/plot_finetuning.rst",
            category="Fine-tuning",
            labels={"model": "{model}", "figure": "Shifts and defences"},
        ),
        pdf="results/{study}/figures/{model}/finetuning.pdf",
        data="results/{study}/figures/{model}/finetuning.csv",
    log:
        "results/{study}/{model}/logs/plot_finetuning.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_finetuning.tsv"
    group:
        batch_group("plot_finetuning")
    conda:
        "../envs/personae.yaml"
    params:
        code=code_digest("report/plot_finetuning"),
    script:
        "../scripts/report/plot_finetuning.py"


rule plot_screening:
    input:
        summary="results/{study}/{model}/screening/summary.parquet",
    output:
        report(
            "results/{study}/figures/{model}/screening.svg",
            caption="report/plot_screening.rst",
            category="Fine-tuning",
            labels={"model": "{model}", "figure": "Training data"},
        ),
        pdf="results/{study}/figures/{model}/screening.pdf",
        data="results/{study}/figures/{model}/screening.csv",
    log:
        "results/{study}/{model}/logs/plot_screening.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_screening.tsv"
    group:
        batch_group("plot_screening")
    conda:
        "../envs/personae.yaml"
    params:
        code=code_digest("report/plot_screening"),
    script:
        "../scripts/report/plot_screening.py"


rule plot_capping:
    input:
        "results/{study}/{model}/capping/tradeoff.parquet",
    output:
        report(
            "results/{study}/figures/{model}/capping.svg",
            caption="report/plot_capping.rst",
            category="Capping",
            labels={"model": "{model}", "figure": "Trade-off"},
        ),
        pdf="results/{study}/figures/{model}/capping.pdf",
        data="results/{study}/figures/{model}/capping.csv",
    log:
        "results/{study}/{model}/logs/plot_capping.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_capping.tsv"
    group:
        batch_group("plot_capping")
    conda:
        "../envs/personae.yaml"
    params:
        judge=study.config.judging.primary,
        code=code_digest("report/plot_capping"),
    script:
        "../scripts/report/plot_capping.py"


rule plot_capability:
    input:
        "results/{study}/{model}/capping/capability_changes.parquet",
    output:
        report(
            "results/{study}/figures/{model}/capability.svg",
            caption="report/plot_capability.rst",
            category="Capping",
            labels={"model": "{model}", "figure": "Capability"},
        ),
        pdf="results/{study}/figures/{model}/capability.pdf",
        data="results/{study}/figures/{model}/capability.csv",
    log:
        "results/{study}/{model}/logs/plot_capability.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_capability.tsv"
    group:
        batch_group("plot_capability")
    conda:
        "../envs/personae.yaml"
    params:
        code=code_digest("report/plot_capability"),
    script:
        "../scripts/report/plot_capability.py"


rule plot_harm:
    input:
        "results/{study}/{model}/harm/rates.parquet",
    output:
        report(
            "results/{study}/figures/{model}/harm.svg",
            caption="report/plot_harm.rst",
            category="Capping",
            labels={"model": "{model}", "figure": "Harm"},
        ),
        pdf="results/{study}/figures/{model}/harm.pdf",
        data="results/{study}/figures/{model}/harm.csv",
    log:
        "results/{study}/{model}/logs/plot_harm.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_harm.tsv"
    group:
        batch_group("plot_harm")
    conda:
        "../envs/personae.yaml"
    params:
        judge=node_params.deciding_judge(study, "harm"),
        code=code_digest("report/plot_harm"),
    script:
        "../scripts/report/plot_harm.py"


rule plot_harm_link:
    input:
        points="results/{study}/{model}/harm/link/points.parquet",
        link="results/{study}/{model}/harm/link/link.parquet",
    output:
        report(
            "results/{study}/figures/{model}/harm_link.svg",
            caption="report/plot_harm_link.rst",
            category="Drift",
            labels={"model": "{model}", "figure": "Harm after a first turn"},
        ),
        pdf="results/{study}/figures/{model}/harm_link.pdf",
        data="results/{study}/figures/{model}/harm_link.csv",
    log:
        "results/{study}/{model}/logs/plot_harm_link.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_harm_link.tsv"
    group:
        batch_group("plot_harm_link")
    conda:
        "../envs/personae.yaml"
    params:
        judge=node_params.deciding_judge(study, "harm"),
        code=code_digest("report/plot_harm_link"),
    script:
        "../scripts/report/plot_harm_link.py"


rule plot_case_studies:
    input:
        turns="results/{study}/{model}/cases/turns.parquet",
        effects="results/{study}/{model}/cases/effects.parquet",
        tokens="results/{study}/{model}/cases/tokens.parquet",
    output:
        report(
            "results/{study}/figures/{model}/case_studies.svg",
            caption="report/plot_case_studies.rst",
            category="Case studies",
            labels={"model": "{model}", "figure": "Case studies"},
        ),
        pdf="results/{study}/figures/{model}/case_studies.pdf",
        data="results/{study}/figures/{model}/case_studies.csv",
    log:
        "results/{study}/{model}/logs/plot_case_studies.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_case_studies.tsv"
    group:
        batch_group("plot_case_studies")
    conda:
        "../envs/personae.yaml"
    params:
        judge=node_params.deciding_judge(study, "delusion_risk"),
        code=code_digest("report/plot_case_studies"),
    script:
        "../scripts/report/plot_case_studies.py"


rule plot_drift:
    input:
        projections="results/{study}/{model}/drift/projections.parquet",
        summary="results/{study}/{model}/drift/summary.parquet",
    output:
        report(
            "results/{study}/figures/{model}/drift.svg",
            caption="report/plot_drift.rst",
            category="Drift",
            labels={"model": "{model}", "figure": "Turn by turn"},
        ),
        pdf="results/{study}/figures/{model}/drift.pdf",
        data="results/{study}/figures/{model}/drift.csv",
    log:
        "results/{study}/{model}/logs/plot_drift.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_drift.tsv"
    group:
        batch_group("plot_drift")
    conda:
        "../envs/personae.yaml"
    params:
        middle_layer=middle_layer,
        code=code_digest("report/plot_drift"),
    script:
        "../scripts/report/plot_drift.py"


rule plot_drift_predictions:
    input:
        "results/{study}/{model}/drift/predictions.parquet",
    output:
        report(
            "results/{study}/figures/{model}/drift_predictions.svg",
            caption="report/plot_drift_predictions.rst",
            category="Drift",
            labels={"model": "{model}", "figure": "Prediction from user messages"},
        ),
        pdf="results/{study}/figures/{model}/drift_predictions.pdf",
        data="results/{study}/figures/{model}/drift_predictions.csv",
    log:
        "results/{study}/{model}/logs/plot_drift_predictions.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_drift_predictions.tsv"
    group:
        batch_group("plot_drift_predictions")
    conda:
        "../envs/personae.yaml"
    params:
        code=code_digest("report/plot_drift_predictions"),
    script:
        "../scripts/report/plot_drift_predictions.py"


rule plot_judges:
    input:
        agreement="results/{study}/{model}/judging/agreement.parquet",
        confusion="results/{study}/{model}/judging/confusion.parquet",
    output:
        report(
            "results/{study}/figures/{model}/judges.svg",
            caption="report/plot_judges.rst",
            category="Judges",
            labels={"model": "{model}", "figure": "Agreement with labels"},
        ),
        pdf="results/{study}/figures/{model}/judges.pdf",
        data="results/{study}/figures/{model}/judges.csv",
    log:
        "results/{study}/{model}/logs/plot_judges.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_judges.tsv"
    group:
        batch_group("plot_judges")
    conda:
        "../envs/personae.yaml"
    params:
        code=code_digest("report/plot_judges"),
    script:
        "../scripts/report/plot_judges.py"


rule project_shown_transcripts:
    input:
        model=model_manifest,
        steered=expand(
            "results/{{study}}/{{model}}/steering/{trait}/alpha_sweep/responses.parquet",
            trait=TRAITS,
        ),
        capped="results/{study}/{model}/capping/responses.parquet",
        replays="results/{study}/{model}/drift/replays.parquet",
        simulated=simulated_conversations,
        cases=case_replays,
        directions="results/{study}/{model}/axis/directions.parquet",
        vectors=trait_files("vectors.parquet"),
        layers=layer_choices(),
    output:
        "results/{study}/{model}/shown/tokens.parquet",
    log:
        "results/{study}/{model}/logs/project_shown_transcripts.log",
    benchmark:
        "results/{study}/{model}/benchmarks/project_shown_transcripts.tsv"
    group:
        batch_group("project_shown_transcripts")
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
        most=study.config.report.token_transcripts,
        code=code_digest("report/project_shown_transcripts"),
    script:
        "../scripts/report/project_shown_transcripts.py"


rule build_scorecard:
    input:
        unpack(read_by("scorecard")),
    output:
        "results/{study}/scorecard.parquet",
    log:
        "results/{study}/logs/build_scorecard.log",
    benchmark:
        "results/{study}/benchmarks/build_scorecard.tsv"
    conda:
        "../envs/personae.yaml"
    params:
        middle_layers={model: study.models[model].middle_layer for model in MODELS},
        n_roles=len(study.role_names),
        criteria={
            "variance_threshold": study.config.axis.variance_threshold,
            "coherence_floor": study.config.layer_sweep.coherence_floor,
            "judge": study.config.judging.primary,
            "second_judge": study.config.judging.other,
            "draws": study.config.axis.bootstrap,
            "seed": study.config.seed,
            "role_rollouts": study.config.roles.prompts
            * study.config.roles.questions.extraction
            * study.config.roles.samples,
        },
        sizes=claim_sizes(study),
        bases={model: study.models[model].base for model in MODELS},
        code=code_digest("report/build_scorecard"),
    script:
        "../scripts/report/build_scorecard.py"


rule write_report:
    input:
        unpack(read_by("report")),
        page=shipped("scripts/personae/report/page.html.j2"),
        style=shipped("scripts/personae/report/page.css"),
        scripts=[
            shipped(f"scripts/personae/report/{name}.js")
            for name in (
                "vendor/d3.min",
                "vendor/plot.umd.min",
                "page_scripts/core",
                "page_scripts/claims",
                "page_scripts/figures",
                "page_scripts/responses",
                "page_scripts/persona_map",
                "page_scripts/explorers",
                "page_scripts/transcripts",
            )
        ],
        captions=expand(
            shipped("rules/report/plot_{figure}.rst"),
            figure=registry.figure_names(),
        ),
    output:
        report(
            "results/{study}/report.html",
            caption="report/write_report.rst",
            category="Report",
            labels={"model": "all", "figure": "Report of the study"},
        ),
    log:
        "results/{study}/logs/write_report.log",
    benchmark:
        "results/{study}/benchmarks/write_report.tsv"
    conda:
        "../envs/personae.yaml"
    params:
        settings={
            "title": study.config.report.title,
            "models": {model: study.models[model].display_name for model in MODELS},
            "roles": study.role_names,
            "traits": TRAITS,
            "judges": study.config.judging.names,
            "transcripts": study.config.report.transcripts,
            "coherence_floor": study.config.layer_sweep.coherence_floor,
            "middle_layers": {
                model: study.models[model].middle_layer for model in MODELS
            },
            "descriptions": {
                name: persona.description
                for personas in (study.roles, study.traits, study.space)
                for name, persona in personas.items()
            },
        },
        fewer_than_asked=from_study(fewer_than_asked),
        sections=registry.figure_sections(),
        titles=registry.titles(),
        code=code_digest("report/write_report"),
    script:
        "../scripts/report/write_report.py"
