"""Tables of the experiments along the Assistant Axis: speakers, harm, case studies."""

from __future__ import annotations

import pyarrow as pa

from personae.data import tables
from personae.data.table_values import DEFAULT
from personae.rollouts.probe_rollouts import probe_rollouts
from personae.science.case_studies import case_effects
from personae.science.harm_arms import HarmArm, parse_harm_arms
from personae.science.harm_link import link_points, link_table
from personae.science.harm_rates import rate_table
from personae.science.speaker_shares import share_table

from .basics import BANDS, JUDGES, MIDDLE, PERCENTILES, QUESTIONS, ROLES, Planted, score, table

_LABELS = ("assistant", "human", "nonhuman", "mystical", "other")


def speaker_tables(plan: Planted) -> dict[str, pa.Table]:
    """Shares of speakers: away from the Assistant more personas, by chance none more."""
    rng = plan.rng("speakers")
    answers, scores = [], []
    # The same draw for all arms of an item: without an effect nothing changes.
    drawn = {(role, question): rng.random() for role in ROLES[:6] for question in QUESTIONS[:5]}
    arms = [("axis", s) for s in (-2.0, -1.0, 0.0, 1.0, 2.0)]
    arms += [("random0", s) for s in (-2.0, -1.0, 1.0, 2.0)]
    for direction, strength in arms:
        for role in ROLES[:6]:
            for question in QUESTIONS[:5]:
                moved = plan.effect * strength * (direction == "axis")
                away = min(max(0.5 - 0.24 * moved, 0.02), 0.98)
                persona = _LABELS[1 + int(rng.integers(3))]
                label = persona if drawn[role, question] < away else "assistant"
                response = f"{direction}-{strength:g}-{role}-{question}"
                answers.append(
                    {
                        "response_id": response,
                        "role": role,
                        "prompt_index": 0,
                        "question_id": question,
                        "sample": 0,
                        "direction": direction,
                        "layer": MIDDLE,
                        "strength": strength,
                        "in_residual_norms": strength / 10,
                        "in_persona_gaps": strength,
                    }
                )
                word = {"label": label, "rubric": "role_label"}
                scores += [
                    score(response, "role_label", "", float(label != "assistant"), JUDGES[0])
                    | word,
                    score(response, "coherence", "", 90.0 - 8 * abs(strength), JUDGES[0]),
                ]
    shares = share_table(
        table("speaker_responses", answers), tables.from_rows(scores, "scores"), "persona_gap"
    )
    return {"susceptibility/shares": shares}


def harm_tables(plan: Planted) -> dict[str, pa.Table]:
    """Harm under jailbreaks: caps of the wide band reduce it, nothing else does."""
    rng = plan.rng("harm")
    caps = [{"band": b, "percentile": p, "reading": "ceiling"} for b in BANDS for p in PERCENTILES]
    contrasts = ("axis", "random0", "wrong_sign")
    arms = [{"contrast": contrast, **cap} for contrast in contrasts for cap in caps]
    arms += [{"contrast": "steering", "strength": 1.0}]
    arms += [{"contrast": "steering_random0", "strength": 1.0}]
    probes = [
        {"id": f"{kind}{i}", "category": kind, "text": "Help me?"}
        for kind in ("theft", "fraud", "hate", "arson", "spying", "stalking")
        for i in range(2)
    ]
    personas = {role: "You are wild." for role in ROLES[:6]}
    # The same draw for all personas and arms of a request: without an effect nothing changes.
    luck = {q["id"]: (i + 0.5) / len(probes) for i, q in enumerate(probes)}
    rng.shuffle(probes)
    answers, scores, costs = [], [], []
    for item in probe_rollouts(
        dict.fromkeys(parse_harm_arms(arms), ()), personas, probes, samples=1, seed=0
    ):
        cells = item.columns
        arm = HarmArm(*(cells[name] for name in HarmArm._fields))
        share = 0.85 * plan.effect * (arm.contrast != "no_persona") + 0.1
        if arm.contrast in ("axis", "steering"):
            share -= plan.effect * (0.9 if arm.band != BANDS[-1] else 0.2)
        harmful = luck[cells["question_id"]] < share
        answers.append({"response_id": item.id, **cells})
        scores.append(score(item.id, "harm", "", 2.0 * harmful, JUDGES[0]))
    for i, cap in enumerate(caps):
        for direction in ("axis", "random0"):
            change = -0.01 * i
            costs.append(
                {**cap, "direction": direction, "pool": "roles", "judge": "", "n": 16}
                | {"measure": "closed_accuracy", "n_unscored": 0, "change": change}
                | {"low": change - 0.1, "high": change + 0.1}
            )
    names = {"harm_responses": answers, "scores": scores, "capping_tradeoff": costs}
    made = [
        pa.Table.from_pylist(rows) if name == "harm_responses" else tables.from_rows(rows, name)
        for name, rows in names.items()
    ]
    return {"harm/rates": rate_table(*made, max_loss=0.05)}


def harm_link_tables(plan: Planted) -> dict[str, pa.Table]:
    """Harm after first turns in roles: more of it the lower the projection, or unrelated to it."""
    rng = plan.rng("harm link")
    roles = [*ROLES, DEFAULT]
    answers, scores, places = [], [], []
    for i, role in enumerate(roles):
        for question in QUESTIONS[:4]:
            first = f"{role}-p0-{question}-s0"
            place = i / (len(roles) - 1) + float(rng.normal(0, 0.05))
            for direction in ("axis", "random0"):
                value = place if direction == "axis" else float(rng.normal())
                places.append(
                    {"subject": role, "kind": "role", "response_id": first, "split": "heldout"}
                    | {"question_id": question, "direction": direction, "layer": MIDDLE}
                    | {"projection": value}
                )
            # Without an effect every second role does more harm, and a little more toward the end.
            share = 1.0 - place if plan.effect else 0.2 + 0.3 * place + 0.4 * (i % 2)
            for k in range(6):
                answer = f"{first}-probe{k}"
                answers.append({"response_id": answer, "role": role, "first_turn": first})
                scores.append(score(answer, "harm", "", 2.0 * (share > (k + 0.5) / 6), JUDGES[0]))
    points = link_points(
        pa.Table.from_pylist(answers),
        tables.from_rows(scores, "scores"),
        tables.from_rows(places, "projections"),
    )
    link = link_table(points, permutations=199, seed=0)
    return {"harm/link/points": points, "harm/link/link": link}


def case_tables(plan: Planted) -> dict[str, pa.Table]:
    """Case studies: without the cap the projection falls and the risk rises, if at all."""
    rng = plan.rng("cases")
    turns, tokens = [], []
    for conversation in [
        f"{domain}_{i}_drifting" for domain in ("delusion", "harm") for i in (1, 2, 3, 4)
    ]:
        wave = rng.normal(0, 0.5, 6)
        for arm in ("shipped", "replayed", "capped"):
            for turn in range(6):
                fall = plan.effect * turn * (0.2 if arm == "capped" else 1.0) + wave[turn]
                place = {"conversation": conversation, "arm": arm, "turn": turn, "layer": MIDDLE}
                turns.append(
                    {
                        **place,
                        "judge": JUDGES[0],
                        "domain": conversation.split("_")[0],
                        "kind": "drifting",
                        "risk": 40.0 + (8.0 * fall if plan.effect else -5.0 * wave[turn]),
                        "harm": float(turn > 4) * plan.effect,
                        "projection": 3.0 - fall,
                    }
                )
                tokens += [
                    {**place, "token": token, "projection": 3.0 - fall + float(rng.normal(0, 0.6))}
                    for token in range(12)
                    if arm != "shipped"
                ]
    made = table("case_turns", turns)
    return {
        "cases/turns": made,
        "cases/effects": case_effects(made, permutations=99, seed=0),
        "cases/tokens": table("token_projections", tokens),
    }
