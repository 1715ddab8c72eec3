"""The declared schema of every intermediate table.

One entry per kind of table; ``personae.data.tables`` refuses to write or read a file whose columns
differ from its entry. Conventions that hold in every table:

- ``layer`` is 0-based and means the residual stream after decoder block ``layer``.
- ``vector`` is a fixed-size binary of ``4 * hidden_size`` bytes, float32 little-endian. Its width
  depends on the model, so schemas declare it as ``VECTOR`` and tables check the width.
- Projections are ``<h, u>`` with ``u`` of unit length. The Assistant Axis points *toward* the
  default Assistant, a trait vector *toward* the trait.
- A score is null exactly when ``reason`` says why it is missing.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

VECTOR: Final = pa.binary()
"""Stands for a fixed-size binary of any multiple of four bytes in a declared schema."""

_TEXT = pa.string()
_INDEX = pa.int16()
_COUNT = pa.int32()
_NUMBER = pa.float64()
_TOKENS = pa.list_(pa.int32())


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind) for name, kind in columns.items()])


def _rollouts(**columns: pa.DataType) -> pa.Schema:
    """Return the schema of generated responses: common columns, then ``columns``."""
    return _schema(
        response_id=_TEXT,
        messages=_TEXT,
        prompt_ids=_TOKENS,
        response_ids=_TOKENS,
        response=_TEXT,
        finish_reason=_TEXT,
        ids_from=_TEXT,
        seed=pa.int64(),
        system_inserted=_TEXT,
        fired=pa.int64(),
        question=_TEXT,
        **columns,
    )


SCHEMAS: Final[dict[str, pa.Schema]] = {
    "role_responses": _rollouts(
        role=_TEXT, prompt_index=_INDEX, question_id=_TEXT, split=_TEXT, sample=_INDEX
    ),
    "trait_responses": _rollouts(
        trait=_TEXT, polarity=_TEXT, pair=_INDEX, question_id=_TEXT, sample=_INDEX
    ),
    "steered_responses": _rollouts(
        trait=_TEXT,
        direction=_TEXT,
        layer=_INDEX,
        coefficient=_NUMBER,
        positions=_TEXT,
        question_id=_TEXT,
        sample=_INDEX,
    ),
    "monitored_responses": _rollouts(
        trait=_TEXT,
        kind=_TEXT,
        grade=_INDEX,
        question_id=_TEXT,
        sample=_INDEX,
    ),
    "capped_responses": _rollouts(
        suite=_TEXT,
        subject=_TEXT,
        question_id=_TEXT,
        turn=_INDEX,
        direction=_TEXT,
        band=_TEXT,
        percentile=_NUMBER,
    ),
    "replays": _rollouts(conversation=_TEXT, domain=_TEXT, kind=_TEXT, arm=_TEXT, turn=_INDEX),
    "scores": _schema(
        response_id=_TEXT,
        rubric=_TEXT,
        target=_TEXT,
        judge=_TEXT,
        primary=pa.bool_(),
        score=_NUMBER,
        raw=_TEXT,
        reason=_TEXT,
        label=_TEXT,
        parts=pa.list_(_NUMBER),
        mode=_TEXT,
        mass=_NUMBER,
    ),
    "activations": _schema(
        response_id=_TEXT, span=_TEXT, layer=_INDEX, n_tokens=_COUNT, vector=VECTOR
    ),
    "role_vectors": _schema(
        role=_TEXT, kind=_TEXT, layer=_INDEX, n=_COUNT, n_unscored=_COUNT, vector=VECTOR
    ),
    "directions": _schema(
        direction=_TEXT,
        layer=_INDEX,
        norm=_NUMBER,
        residual_norm=_NUMBER,
        n_roles=_COUNT,
        n_default=_COUNT,
        integrity=_NUMBER,
        vector=VECTOR,
    ),
    "projections": _schema(
        subject=_TEXT,
        kind=_TEXT,
        response_id=_TEXT,
        question_id=_TEXT,
        split=_TEXT,
        direction=_TEXT,
        layer=_INDEX,
        projection=_NUMBER,
    ),
    "prompt_projections": _schema(response_id=_TEXT, layer=_INDEX, projection=_NUMBER),
    "monitoring_points": _schema(
        response_id=_TEXT,
        trait=_TEXT,
        kind=_TEXT,
        grade=_INDEX,
        question_id=_TEXT,
        layer=_INDEX,
        projection=_NUMBER,
        score=_NUMBER,
    ),
    "monitoring": _schema(
        trait=_TEXT,
        kind=_TEXT,
        layer=_INDEX,
        chosen=pa.bool_(),
        pooled=_NUMBER,
        pooled_low=_NUMBER,
        pooled_high=_NUMBER,
        within=_NUMBER,
        within_low=_NUMBER,
        within_high=_NUMBER,
        n=_COUNT,
        n_unscored=_COUNT,
        n_conditions=_COUNT,
    ),
    "space_layers": _schema(
        layer=_INDEX,
        scaling=_TEXT,
        n_roles=_COUNT,
        participation_ratio=_NUMBER,
        components_needed=_COUNT,
        outlier_dimensions=_COUNT,
        axis_pc1_cosine=_NUMBER,
        axis_pc1_low=_NUMBER,
        axis_pc1_high=_NUMBER,
        questions_low=_NUMBER,
        questions_high=_NUMBER,
        null_mean=_NUMBER,
        null_p95=_NUMBER,
        p_value=_NUMBER,
        placebo_share=_NUMBER,
        split_half=_NUMBER,
    ),
    "space_components": _schema(
        layer=_INDEX, scaling=_TEXT, component=_INDEX, variance_ratio=_NUMBER
    ),
    "space_coordinates": _schema(
        layer=_INDEX, scaling=_TEXT, role=_TEXT, component=_INDEX, coordinate=_NUMBER
    ),
    "cosines": _schema(layer=_INDEX, left=_TEXT, right=_TEXT, cosine=_NUMBER),
    "separation": _schema(
        layer=_INDEX,
        direction=_TEXT,
        split=_TEXT,
        n_default=_COUNT,
        n_roles=_COUNT,
        auc=_NUMBER,
        auc_low=_NUMBER,
        auc_high=_NUMBER,
        null_p95=_NUMBER,
        p_value=_NUMBER,
    ),
    "trait_vectors": _schema(
        trait=_TEXT,
        variant=_TEXT,
        layer=_INDEX,
        selection=_TEXT,
        n_cells=_COUNT,
        norm=_NUMBER,
        split_half=_NUMBER,
        vector=VECTOR,
    ),
    "trait_pairs": _schema(
        trait=_TEXT,
        pair=_INDEX,
        question_id=_TEXT,
        positive=_NUMBER,
        negative=_NUMBER,
        positive_coherence=_NUMBER,
        negative_coherence=_NUMBER,
        n_scored=_COUNT,
        n_unscored=_COUNT,
        effective=pa.bool_(),
    ),
    "steering_effects": _schema(
        trait=_TEXT,
        judge=_TEXT,
        direction=_TEXT,
        layer=_INDEX,
        coefficient=_NUMBER,
        positions=_TEXT,
        rubric=_TEXT,
        n=_COUNT,
        n_unscored=_COUNT,
        mean=_NUMBER,
        low=_NUMBER,
        high=_NUMBER,
        if_lowest=_NUMBER,
        if_highest=_NUMBER,
        chosen=pa.bool_(),
    ),
    "floors": _schema(
        direction=_TEXT,
        pool=_TEXT,
        reading=_TEXT,
        orientation=_TEXT,
        percentile=_NUMBER,
        layer=_INDEX,
        floor=_NUMBER,
        n=_COUNT,
        default_mean=_NUMBER,
        default_quantile=_NUMBER,
        default_below=_NUMBER,
        roles_below=_NUMBER,
    ),
    "bench": _schema(
        metric=_TEXT,
        ours=_NUMBER,
        other=_NUMBER,
        ratio=_NUMBER,
        target=_NUMBER,
        met=pa.bool_(),
        n=_COUNT,
        spread=_NUMBER,
        device=_TEXT,
    ),
    "capping_costs": _schema(
        direction=_TEXT,
        band=_TEXT,
        percentile=_NUMBER,
        measure=_TEXT,
        item=_TEXT,
        value=_NUMBER,
        n_tokens=_COUNT,
    ),
    "capping_tradeoff": _schema(
        direction=_TEXT,
        band=_TEXT,
        percentile=_NUMBER,
        judge=_TEXT,
        measure=_TEXT,
        n=_COUNT,
        n_unscored=_COUNT,
        value=_NUMBER,
        if_lowest=_NUMBER,
        if_highest=_NUMBER,
        change=_NUMBER,
        low=_NUMBER,
        high=_NUMBER,
    ),
    "drift_projections": _schema(
        conversation=_TEXT,
        domain=_TEXT,
        kind=_TEXT,
        arm=_TEXT,
        turn=_INDEX,
        direction=_TEXT,
        layer=_INDEX,
        projection=_NUMBER,
        n_tokens=_COUNT,
    ),
    "drift_summary": _schema(
        arm=_TEXT,
        kind=_TEXT,
        domain=_TEXT,
        turn=_INDEX,
        layer=_INDEX,
        n=_COUNT,
        mean=_NUMBER,
        low=_NUMBER,
        high=_NUMBER,
    ),
    "score_summary": _schema(
        judge=_TEXT,
        rubric=_TEXT,
        target=_TEXT,
        arm=_TEXT,
        mode=_TEXT,
        n=_COUNT,
        n_unscored=_COUNT,
        reasons=_TEXT,
        mean=_NUMBER,
        if_lowest=_NUMBER,
        if_highest=_NUMBER,
    ),
    "calibration": _schema(
        judge=_TEXT,
        rubric=_TEXT,
        target=_TEXT,
        mapping=_TEXT,
        parameters=pa.list_(_NUMBER),
        n=_COUNT,
    ),
    "labelled_scores": _schema(
        item_id=_TEXT,
        rubric=_TEXT,
        target=_TEXT,
        judge=_TEXT,
        question=_TEXT,
        length=_COUNT,
        label=_NUMBER,
        label_name=_TEXT,
        raw=_NUMBER,
        score=_NUMBER,
        score_name=_TEXT,
        fold=_INDEX,
        reason=_TEXT,
        mode=_TEXT,
    ),
    "agreement": _schema(
        judge=_TEXT,
        rubric=_TEXT,
        target=_TEXT,
        n=_COUNT,
        n_unscored=_COUNT,
        auc=_NUMBER,
        auc_low=_NUMBER,
        auc_high=_NUMBER,
        spearman=_NUMBER,
        spearman_low=_NUMBER,
        spearman_high=_NUMBER,
        kappa=_NUMBER,
        kappa_low=_NUMBER,
        kappa_high=_NUMBER,
        accuracy=_NUMBER,
        accuracy_if_lowest=_NUMBER,
        accuracy_if_highest=_NUMBER,
    ),
    "judge_pairs": _schema(
        judge=_TEXT,
        other=_TEXT,
        rubric=_TEXT,
        arm=_TEXT,
        n=_COUNT,
        n_unscored=_COUNT,
        auc=_NUMBER,
        auc_low=_NUMBER,
        auc_high=_NUMBER,
        auc_other=_NUMBER,
        auc_other_low=_NUMBER,
        auc_other_high=_NUMBER,
        spearman=_NUMBER,
        spearman_low=_NUMBER,
        spearman_high=_NUMBER,
        kappa=_NUMBER,
        kappa_low=_NUMBER,
        kappa_high=_NUMBER,
    ),
    "judge_bias": _schema(
        judge=_TEXT, rubric=_TEXT, bias=_TEXT, n=_COUNT, value=_NUMBER, low=_NUMBER, high=_NUMBER
    ),
    "confusion": _schema(
        judge=_TEXT,
        against=_TEXT,
        arm=_TEXT,
        rubric=_TEXT,
        target=_TEXT,
        label=_TEXT,
        predicted=_TEXT,
        n=_COUNT,
    ),
    "published_cosines": _schema(
        kind=_TEXT, name=_TEXT, layer=_INDEX, cosine=_NUMBER, norm=_NUMBER, own_norm=_NUMBER
    ),
    "library_card": _schema(
        part=_TEXT,
        check=_TEXT,
        scope=_TEXT,
        n=_COUNT,
        n_found=_COUNT,
        value=_NUMBER,
        threshold=_NUMBER,
        passed=pa.bool_(),
        found=_TEXT,
    ),
    "scorecard": _schema(
        claim=_TEXT,
        paper=_TEXT,
        section=_TEXT,
        statistic=_TEXT,
        value=_NUMBER,
        low=_NUMBER,
        high=_NUMBER,
        null=_NUMBER,
        published=_TEXT,
        model=_TEXT,
        judge=_TEXT,
        n=_COUNT,
        verdict=_TEXT,
        note=_TEXT,
    ),
}
