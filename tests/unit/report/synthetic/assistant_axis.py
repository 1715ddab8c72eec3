"""Tables of the experiments along the Assistant Axis: speakers, harm, case studies."""

from __future__ import annotations

import pyarrow as pa

from personae.data import tables
from personae.science.speaker_shares import share_table

from .basics import JUDGES, MIDDLE, QUESTIONS, ROLES, Planted, score, table

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
