"""Simulated tables of a study: no effect, or the published one, with clusters and judge error.

Scores are drawn as real ones are: questions (and roles, conversations) have effects of their own,
scores of a trait are wide and bounded, and a judge adds noise or turns a level into another. Sizes
of the components are those of the demo's tables, rounded.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa

from personae.data.table_values import SYSTEM_PROMPT
from personae.workflow.claim_sizes import Sizes

JUDGES: Final = ("first", "second")
MIDDLE: Final = 0
Frames = dict[str, pd.DataFrame]

_TRAIT_SD: Final = 20.0  # of a question's trait score, 0-100
_NOISE: Final = 22.0  # of a response's score: sampling and judge
_FLIPPED: Final = 0.12  # share of role scores that a judge puts on the wrong side of 3
_GAIN: Final = 40.0  # published change of a trait score at the largest coefficient
_LOSS: Final = -20.0
_COHERENCE_LOSS: Final = -30.0
_REDUCTION: Final = 0.6  # published share of harmful responses that capping removes
_HARM_SLOPE: Final = 1.5  # gives the published correlation of about -0.45
_PLAYED: Final = 0.75  # published: 65-88 %


def steering_tables(sizes: Sizes, effect: float, rng: np.random.Generator) -> Frames:
    """Steered responses along trait vectors and random directions, scored by both judges."""
    top = max(sizes.coefficients)
    coherent = sorted(c for c in sizes.coefficients if c > 0)[-2:][0]
    rows = []
    for trait in range(sizes.traits):
        for question in range(sizes.steered_questions):
            base = 35.0 + rng.normal(0, _TRAIT_SD)
            slope = rng.normal(1.0, 0.3)
            for direction in ("trait", *(f"random{i}" for i in range(sizes.random_directions))):
                drift = rng.normal(0, 4.0)
                for c in sizes.coefficients:
                    if c == 0 and direction != "trait":
                        continue
                    own = effect * slope * (direction == "trait")
                    gain = own * (_GAIN * c / coherent if c > 0 else -_LOSS * c / top)
                    loss = _COHERENCE_LOSS * effect * (c / top) ** 2 * (c > 0)
                    rows.append((f"t{trait}", f"q{question}", direction, c,
                                 base + gain + drift * c, 85.0 + loss))  # fmt: skip
    names = ["trait", "question_id", "direction", "coefficient", "trait_mean", "fluency"]
    responses = pd.DataFrame(rows, columns=names)
    responses["response_id"] = [f"s{i}" for i in range(len(responses))]
    scores = _scores(responses, {"trait": "trait_mean", "coherence": "fluency"}, rng)
    merged = scores.merge(responses, on="response_id")
    keys = ["trait", "judge", "direction", "coefficient", "rubric"]
    effects = merged.groupby(keys).score.mean().rename("mean").reset_index()
    return {"steered_responses": responses, "steered_scores": scores, "steering_effects": effects}


def _scores(
    responses: pd.DataFrame, truths: dict[str, str], rng: np.random.Generator
) -> pd.DataFrame:
    """Noisy bounded scores of every response by both judges."""
    parts = []
    for rubric, column in truths.items():
        true = responses[column] + rng.normal(0, _NOISE * 0.7, len(responses))
        for judge in JUDGES:
            noise = rng.normal(0, _NOISE * 0.7, len(responses))
            parts.append(
                pd.DataFrame(
                    {
                        "response_id": responses.response_id,
                        "judge": judge,
                        "rubric": rubric,
                        "score": np.clip(true + noise, 0, 100),
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def contrast_tables(sizes: Sizes, effect: float, rng: np.random.Generator) -> Frames:
    """Pairs of opposed prompts by trait and question."""
    rows = []
    for trait in range(sizes.traits):
        for question in range(sizes.contrast_questions):
            base, gap = 45.0 + rng.normal(0, _TRAIT_SD), 60.0 * effect + rng.normal(0, 10.0)
            for pair in range(sizes.pairs):
                high, low = (
                    float(np.clip(base + side * gap / 2 + rng.normal(0, _NOISE), 0, 100))
                    for side in (1, -1)
                )
                rows.append((f"t{trait}", pair, f"q{question}", high, low, high >= 50 > low))
    names = ["trait", "pair", "question_id", "positive", "negative", "effective"]
    pairs = pd.DataFrame(rows, columns=names).assign(n_kept=lambda f: f.effective.astype(int))
    return {"trait_pairs": pairs, "trait_vectors": pairs[["trait"]].drop_duplicates()}


def monitoring_tables(sizes: Sizes, effect: float, rng: np.random.Generator) -> Frames:
    """Projections of last prompt tokens and trait scores over graded system prompts."""
    from personae.science.monitoring import Monitored
    from personae.science.resampling import Bootstrap

    tables, points = [], []
    for trait in range(sizes.traits):
        grid = [(c, q) for c in range(sizes.conditions) for q in range(sizes.monitored_questions)]
        frame = pd.DataFrame(
            {
                "response_id": [f"m{trait}-{c}-{q}" for c, q in grid],
                "trait": f"t{trait}",
                "kind": SYSTEM_PROMPT,
                "grade": [c for c, _ in grid],
                "question_id": [f"q{q}" for _, q in grid],
            }
        )
        by_question = rng.normal(0, 0.5, (2, sizes.monitored_questions))
        by_condition = rng.normal(0, 1.0, (2, sizes.conditions))
        grade = np.linspace(-1.6, 1.6, sizes.conditions)
        place = np.array(grid)
        x = (by_condition[0] * 0.3 + grade)[place[:, 0]] + by_question[0][place[:, 1]]
        true = effect * grade + (1 - effect) * by_condition[1]
        y = 45 + 22 * (true[place[:, 0]] + by_question[1][place[:, 1]] + 0.3 * effect * x)
        y = np.clip(y + rng.normal(0, _NOISE, len(y)), 0, 100)
        made = Monitored(frame, [MIDDLE], x[:, np.newaxis], y, MIDDLE)
        tables.append(made.correlation_table(Bootstrap(200, int(rng.integers(2**31)))).to_pandas())
        points.append(made.point_table().to_pandas())
    return {
        "monitoring": pd.concat(tables, ignore_index=True),
        "monitoring_points": pd.concat(points, ignore_index=True),
    }


def capping_tables(sizes: Sizes, effect: float, rng: np.random.Generator) -> Frames:
    """Responses under every setting along the axis and random directions, with their costs."""
    settings = [("none", "", np.nan, 0.0)]
    for direction in ("axis", "random0"):
        for i in range(sizes.settings):
            strength = effect * _REDUCTION * (0.5 + 0.5 * (i + 1) / sizes.settings)
            settings.append(
                (direction, f"{i % 3}-{i % 3 + 4}", 25.0 + i // 3, strength * (direction == "axis"))
            )
    items = [("roles", f"r{r}", f"q{q}", 0) for r in range(sizes.capped_roles)
             for q in range(sizes.capped_questions)]  # fmt: skip
    items += [("jailbreak", f"c{c}", f"c{c}", t) for c in range(sizes.conversations)
              for t in range(sizes.turns)]  # fmt: skip
    of_subject = {item[1]: rng.normal(0, 1.0) for item in items}
    of_question = {item[2]: rng.normal(0, 0.7) for item in items}
    rows: list[tuple[object, ...]] = []
    scores: list[tuple[object, ...]] = []
    for suite, subject, question, turn in items:
        logit = np.log(_PLAYED / (1 - _PLAYED)) + of_subject[subject] + of_question[question]
        plays = 1 / (1 + np.exp(-logit))
        for direction, band, percentile, cut in settings:
            rid = f"k{len(rows)}"
            rows.append((rid, suite, subject, question, turn, direction, band, percentile))
            played = rng.random() < plays * (1 - cut)
            for judge in JUDGES:
                seen = played != (rng.random() < _FLIPPED)
                scores.append((rid, judge, "role_adherence", 3.0 if seen else 1.0))
                scores.append((rid, judge, "coherence", float(np.clip(rng.normal(80, 12), 0, 100))))
    names = [
        "response_id",
        "suite",
        "subject",
        "question_id",
        "turn",
        "direction",
        "band",
        "percentile",
    ]
    return {
        "capped_responses": pd.DataFrame(rows, columns=names),
        "capped_scores": pd.DataFrame(scores, columns=["response_id", "judge", "rubric", "score"]),
        "capping_costs": _costs(sizes, effect, settings, rng),
    }


def _costs(
    sizes: Sizes,
    effect: float,
    settings: list[tuple[str, str, float, float]],
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Without an effect capping costs the margin of the claims; with it, nothing."""
    right = rng.random(sizes.closed) < 0.8
    kept = 1.0 - (1.0 - effect) * 0.1 / 0.8
    of_question = rng.normal(0, 0.05, sizes.neutral_questions)
    of_prompt = rng.normal(0, 0.03, sizes.neutral_prompts)
    rows = []
    for direction, band, percentile, _ in settings:
        capped = direction != "none"
        for i, known in enumerate(right):
            value = float(known and not (capped and rng.random() > kept))
            rows.append((direction, band, percentile, "closed_accuracy", f"fact{i}", value))
        for p in range(sizes.neutral_prompts):
            for q in range(sizes.neutral_questions):
                change = -0.2 * (1 - effect) + of_question[q] + of_prompt[p] if capped else 0.0
                value = -1.2 + change + (rng.normal(0, 0.02) if capped else 0.0)
                item = f"default-p{p}-q{q}-s0"
                rows.append((direction, band, percentile, "neutral_log_likelihood", item, value))
    return pd.DataFrame(
        rows, columns=["direction", "band", "percentile", "measure", "item", "value"]
    )


def drift_tables(sizes: Sizes, effect: float, rng: np.random.Generator) -> Frames:
    """Projections of turns on the axis and on random directions; a conversation wanders."""
    rows = []
    for domain in range(sizes.domains):
        start = rng.normal(0, 1.0)
        for kind in ("calm", "drifting"):
            for arm in ("shipped", "replayed", "capped"):
                for direction in ("axis", "random0"):
                    own = direction == "axis" and kind == "drifting"
                    slope = rng.normal(0, 0.12) - 0.35 * effect * own * (
                        0.2 if arm == "capped" else 1
                    )
                    for turn in range(8):
                        value = start + slope * turn + rng.normal(0, 0.5)
                        rows.append((f"{kind}{domain}", f"d{domain}", kind, arm, turn, direction,
                                     MIDDLE, value))  # fmt: skip
    names = ["conversation", "domain", "kind", "arm", "turn", "direction", "layer", "projection"]
    return {"drift": pd.DataFrame(rows, columns=names)}


def role_tables(sizes: Sizes, effect: float, rng: np.random.Generator) -> Frames:
    """Roles that are played: half of them without an effect, nearly all with it."""
    played = rng.random(sizes.roles) < (0.97 if effect else 0.5)
    rows = [(f"r{i}", "fully", MIDDLE) for i in np.flatnonzero(played)]
    return {"role_vectors": pd.DataFrame(rows, columns=["role", "kind", "layer"])}


def harm_link_tables(sizes: Sizes, effect: float, rng: np.random.Generator) -> Frames:
    """Harmful answers after first turns in roles: roles have a place and a harm of their own."""
    from personae.science.harm_link import link_table
    from personae.science.resampling import Bootstrap

    if not sizes.linked_roles:
        return {}
    rows = []
    of_probe = rng.normal(0, 0.5, sizes.link_probes)
    for role in range(sizes.linked_roles):
        own, place = rng.normal(0, 1.0), rng.normal(0, 1.0)
        for turn in range(sizes.first_turns):
            x = place + rng.normal(0, 0.4)
            logit = own + of_probe - effect * _HARM_SLOPE * x
            harmful = rng.random(sizes.link_probes) < 1 / (1 + np.exp(-logit))
            seen = harmful != (rng.random(sizes.link_probes) < _FLIPPED)
            rows.append((f"r{role}", f"r{role}-{turn}", x, float(seen.mean())))
    points = pd.DataFrame(rows, columns=["role", "first_turn", "projection", "rate"])
    points = points.assign(judge=JUDGES[0], direction="axis", layer=MIDDLE, n_unscored=0)
    plan = Bootstrap(200, int(rng.integers(2**31)))
    found = link_table(pa.Table.from_pandas(points), permutations=199, plan=plan)
    return {"harm_link": found.to_pandas()}


ALL_TABLES: Final = (
    steering_tables,
    contrast_tables,
    monitoring_tables,
    capping_tables,
    drift_tables,
    role_tables,
    harm_link_tables,
)
