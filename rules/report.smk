"""Figures, the scorecard of both papers' claims, and the report that holds them all."""

from personae.report.sections import FIGURES


rule plot_persona_space:
    input:
        coordinates="results/{study}/{model}/axis/space_coordinates.parquet",
        components="results/{study}/{model}/axis/space_components.parquet",
    output:
        report(
            "results/{study}/{model}/figures/persona_space.svg",
            caption="report/plot_persona_space.rst",
            category="Persona space",
            labels={"model": "{model}", "figure": "Roles and variance"},
        ),
    log:
        "results/{study}/{model}/logs/plot_persona_space.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_persona_space.tsv"
    group:
        "figures_{model}"
    conda:
        "../envs/personae.yaml"
    params:
        middle_layer=middle_layer,
        variance_threshold=study.axis.variance_threshold,
        code=code_digest("report/plot_persona_space"),
    script:
        "../scripts/report/plot_persona_space.py"


rule plot_axis_layers:
    input:
        "results/{study}/{model}/axis/space_layers.parquet",
    output:
        report(
            "results/{study}/{model}/figures/axis_layers.svg",
            caption="report/plot_axis_layers.rst",
            category="Persona space",
            labels={"model": "{model}", "figure": "Axis against PC 1"},
        ),
    log:
        "results/{study}/{model}/logs/plot_axis_layers.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_axis_layers.tsv"
    group:
        "figures_{model}"
    conda:
        "../envs/personae.yaml"
    params:
        middle_layer=middle_layer,
        code=code_digest("report/plot_axis_layers"),
    script:
        "../scripts/report/plot_axis_layers.py"


rule plot_role_cosines:
    input:
        "results/{study}/{model}/axis/cosines.parquet",
    output:
        report(
            "results/{study}/{model}/figures/role_cosines.svg",
            caption="report/plot_role_cosines.rst",
            category="Persona space",
            labels={"model": "{model}", "figure": "Cosines between roles"},
        ),
    log:
        "results/{study}/{model}/logs/plot_role_cosines.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_role_cosines.tsv"
    group:
        "figures_{model}"
    conda:
        "../envs/personae.yaml"
    params:
        middle_layer=middle_layer,
        code=code_digest("report/plot_role_cosines"),
    script:
        "../scripts/report/plot_role_cosines.py"


rule plot_separation:
    input:
        separation="results/{study}/{model}/axis/separation.parquet",
        projections=role_files("projections.parquet"),
    output:
        report(
            "results/{study}/{model}/figures/separation.svg",
            caption="report/plot_separation.rst",
            category="Persona space",
            labels={"model": "{model}", "figure": "Default against roles"},
        ),
    log:
        "results/{study}/{model}/logs/plot_separation.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_separation.tsv"
    group:
        "figures_{model}"
    conda:
        "../envs/personae.yaml"
    params:
        middle_layer=middle_layer,
        code=code_digest("report/plot_separation"),
    script:
        "../scripts/report/plot_separation.py"


rule plot_trait_geometry:
    input:
        "results/{study}/{model}/traits/cosines.parquet",
    output:
        report(
            "results/{study}/{model}/figures/trait_geometry.svg",
            caption="report/plot_trait_geometry.rst",
            category="Traits",
            labels={"model": "{model}", "figure": "Geometry"},
        ),
    log:
        "results/{study}/{model}/logs/plot_trait_geometry.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_trait_geometry.tsv"
    group:
        "figures_{model}"
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
            "results/{study}/{model}/figures/layer_sweep.svg",
            caption="report/plot_layer_sweep.rst",
            category="Traits",
            labels={"model": "{model}", "figure": "Layer sweep"},
        ),
    log:
        "results/{study}/{model}/logs/plot_layer_sweep.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_layer_sweep.tsv"
    group:
        "figures_{model}"
    conda:
        "../envs/personae.yaml"
    params:
        judge=study.judging.primary,
        coherence_floor=study.layer_sweep.coherence_floor,
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
            "results/{study}/{model}/figures/steering.svg",
            caption="report/plot_steering.rst",
            category="Traits",
            labels={"model": "{model}", "figure": "Steering"},
        ),
    log:
        "results/{study}/{model}/logs/plot_steering.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_steering.tsv"
    group:
        "figures_{model}"
    conda:
        "../envs/personae.yaml"
    params:
        judge=study.judging.primary,
        coherence_floor=study.layer_sweep.coherence_floor,
        code=code_digest("report/plot_steering"),
    script:
        "../scripts/report/plot_steering.py"


rule plot_monitoring:
    input:
        points=monitoring_files("points.parquet"),
        correlations=monitoring_files("correlations.parquet"),
    output:
        report(
            "results/{study}/{model}/figures/monitoring.svg",
            caption="report/plot_monitoring.rst",
            category="Traits",
            labels={"model": "{model}", "figure": "Monitoring"},
        ),
    log:
        "results/{study}/{model}/logs/plot_monitoring.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_monitoring.tsv"
    group:
        "figures_{model}"
    conda:
        "../envs/personae.yaml"
    params:
        code=code_digest("report/plot_monitoring"),
    script:
        "../scripts/report/plot_monitoring.py"


rule plot_capping:
    input:
        "results/{study}/{model}/capping/tradeoff.parquet",
    output:
        report(
            "results/{study}/{model}/figures/capping.svg",
            caption="report/plot_capping.rst",
            category="Capping",
            labels={"model": "{model}", "figure": "Trade-off"},
        ),
    log:
        "results/{study}/{model}/logs/plot_capping.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_capping.tsv"
    group:
        "figures_{model}"
    conda:
        "../envs/personae.yaml"
    params:
        judge=study.judging.primary,
        code=code_digest("report/plot_capping"),
    script:
        "../scripts/report/plot_capping.py"


rule plot_drift:
    input:
        projections="results/{study}/{model}/drift/projections.parquet",
        summary="results/{study}/{model}/drift/summary.parquet",
    output:
        report(
            "results/{study}/{model}/figures/drift.svg",
            caption="report/plot_drift.rst",
            category="Drift",
            labels={"model": "{model}", "figure": "Turn by turn"},
        ),
    log:
        "results/{study}/{model}/logs/plot_drift.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_drift.tsv"
    group:
        "figures_{model}"
    conda:
        "../envs/personae.yaml"
    params:
        middle_layer=middle_layer,
        code=code_digest("report/plot_drift"),
    script:
        "../scripts/report/plot_drift.py"


rule plot_judges:
    input:
        agreement="results/{study}/{model}/judging/agreement.parquet",
        confusion="results/{study}/{model}/judging/confusion.parquet",
    output:
        report(
            "results/{study}/{model}/figures/judges.svg",
            caption="report/plot_judges.rst",
            category="Judges",
            labels={"model": "{model}", "figure": "Agreement with labels"},
        ),
    log:
        "results/{study}/{model}/logs/plot_judges.log",
    benchmark:
        "results/{study}/{model}/benchmarks/plot_judges.tsv"
    group:
        "figures_{model}"
    conda:
        "../envs/personae.yaml"
    params:
        code=code_digest("report/plot_judges"),
    script:
        "../scripts/report/plot_judges.py"


rule build_scorecard:
    input:
        role_vectors=expand(
            "results/{{study}}/{model}/axis/role_vectors.parquet", model=MODELS
        ),
        directions=expand(
            "results/{{study}}/{model}/axis/directions.parquet", model=MODELS
        ),
        space_layers=expand(
            "results/{{study}}/{model}/axis/space_layers.parquet", model=MODELS
        ),
        space_coordinates=expand(
            "results/{{study}}/{model}/axis/space_coordinates.parquet", model=MODELS
        ),
        separation=expand(
            "results/{{study}}/{model}/axis/separation.parquet", model=MODELS
        ),
        role_cosines=expand(
            "results/{{study}}/{model}/axis/cosines.parquet", model=MODELS
        ),
        trait_cosines=expand(
            "results/{{study}}/{model}/traits/cosines.parquet", model=MODELS
        ),
        monitoring=expand(
            "results/{{study}}/{model}/monitoring/{trait}/correlations.parquet",
            model=MODELS,
            trait=TRAITS,
        ),
        trait_vectors=expand(
            "results/{{study}}/{model}/traits/{trait}/vectors.parquet",
            model=MODELS,
            trait=TRAITS,
        ),
        trait_pairs=expand(
            "results/{{study}}/{model}/traits/{trait}/pairs.parquet",
            model=MODELS,
            trait=TRAITS,
        ),
        sweep_effects=expand(
            "results/{{study}}/{model}/steering/{trait}/layer_sweep/effects.parquet",
            model=MODELS,
            trait=TRAITS,
        ),
        steering_effects=expand(
            "results/{{study}}/{model}/steering/{trait}/alpha_sweep/effects.parquet",
            model=MODELS,
            trait=TRAITS,
        ),
        steered_responses=expand(
            "results/{{study}}/{model}/steering/{trait}/alpha_sweep/responses.parquet",
            model=MODELS,
            trait=TRAITS,
        ),
        steered_scores=expand(
            "results/{{study}}/{model}/steering/{trait}/alpha_sweep/scores.parquet",
            model=MODELS,
            trait=TRAITS,
        ),
        floors=expand("results/{{study}}/{model}/capping/floors.parquet", model=MODELS),
        tradeoff=expand(
            "results/{{study}}/{model}/capping/tradeoff.parquet", model=MODELS
        ),
        capped_responses=expand(
            "results/{{study}}/{model}/capping/responses.parquet", model=MODELS
        ),
        drift=expand(
            "results/{{study}}/{model}/drift/projections.parquet", model=MODELS
        ),
        agreement=expand(
            "results/{{study}}/{model}/judging/agreement.parquet", model=MODELS
        ),
    output:
        "results/{study}/scorecard.parquet",
    log:
        "results/{study}/logs/build_scorecard.log",
    benchmark:
        "results/{study}/benchmarks/build_scorecard.tsv"
    conda:
        "../envs/personae.yaml"
    params:
        middle_layers={model: selected.models[model].middle_layer for model in MODELS},
        n_roles=len(selected.role_names),
        criteria={
            "variance_threshold": study.axis.variance_threshold,
            "coherence_floor": study.layer_sweep.coherence_floor,
            "judge": study.judging.primary,
            "second_judge": study.judging.second,
            "draws": study.axis.bootstrap,
            "seed": study.seed,
        },
        code=code_digest("report/build_scorecard"),
    script:
        "../scripts/report/build_scorecard.py"


rule write_report:
    input:
        page="scripts/personae/report/page.html.j2",
        style="scripts/personae/report/page.css",
        captions=expand("rules/report/plot_{figure}.rst", figure=FIGURES),
        figures=expand(
            "results/{{study}}/{model}/figures/{figure}.svg",
            model=MODELS,
            figure=FIGURES,
        ),
        scorecard="results/{study}/scorecard.parquet",
        library_card="results/{study}/library_card.parquet",
        role_responses=expand(
            "results/{{study}}/{model}/roles/{role}/responses.parquet",
            model=MODELS,
            role=ROLES,
        ),
        trait_responses=expand(
            "results/{{study}}/{model}/traits/{trait}/{polarity}/responses.parquet",
            model=MODELS,
            trait=TRAITS,
            polarity=POLARITIES,
        ),
        steered_responses=expand(
            "results/{{study}}/{model}/steering/{trait}/alpha_sweep/responses.parquet",
            model=MODELS,
            trait=TRAITS,
        ),
        steered_scores=expand(
            "results/{{study}}/{model}/steering/{trait}/alpha_sweep/scores.parquet",
            model=MODELS,
            trait=TRAITS,
        ),
        steering_effects=expand(
            "results/{{study}}/{model}/steering/{trait}/alpha_sweep/effects.parquet",
            model=MODELS,
            trait=TRAITS,
        ),
        capped_responses=expand(
            "results/{{study}}/{model}/capping/responses.parquet", model=MODELS
        ),
        capped_scores=expand(
            "results/{{study}}/{model}/capping/scores.parquet", model=MODELS
        ),
        replays=expand("results/{{study}}/{model}/drift/replays.parquet", model=MODELS),
        simulated=expand(
            "results/{{study}}/{model}/drift/simulated.parquet",
            model=MODELS if selected.simulated else [],
        ),
        agreement=expand(
            "results/{{study}}/{model}/judging/agreement.parquet", model=MODELS
        ),
        confusion=expand(
            "results/{{study}}/{model}/judging/confusion.parquet", model=MODELS
        ),
        judge_pairs=expand(
            "results/{{study}}/{model}/judging/judge_pairs.parquet", model=MODELS
        ),
        study_pairs=expand(
            "results/{{study}}/{model}/judging/study_pairs.parquet", model=MODELS
        ),
        study_confusion=expand(
            "results/{{study}}/{model}/judging/study_confusion.parquet", model=MODELS
        ),
        judge_bias=expand(
            "results/{{study}}/{model}/judging/judge_bias.parquet", model=MODELS
        ),
        score_summary=expand(
            "results/{{study}}/{model}/judging/score_summary.parquet", model=MODELS
        ),
    output:
        "results/{study}/report.html",
    log:
        "results/{study}/logs/write_report.log",
    benchmark:
        "results/{study}/benchmarks/write_report.tsv"
    conda:
        "../envs/personae.yaml"
    params:
        settings={
            "title": study.report.title,
            "models": {model: selected.models[model].display_name for model in MODELS},
            "roles": selected.role_names,
            "traits": TRAITS,
            "judges": study.judging.names,
            "transcripts": study.report.transcripts,
            "coherence_floor": study.layer_sweep.coherence_floor,
        },
        code=code_digest("report/write_report"),
    script:
        "../scripts/report/write_report.py"
