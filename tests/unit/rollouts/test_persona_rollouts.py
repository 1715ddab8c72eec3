"""Rollouts: messages, ids, and seeds that depend on nothing else."""

from __future__ import annotations

from personae.api.rollout import chat, seed_of
from personae.personas.system_prompts import trait_prompt
from personae.rollouts.persona_rollouts import role_rollouts, trait_rollouts

ROLE = {
    "role": "default",
    "prompts": [None, "You are {model_name}."],
    "questions": {"extraction": [["a", "A?"], ["b", "B?"]], "heldout": [["c", "C?"]]},
    "samples": 2,
    "model_name": "SmolLM2",
    "seed": 3,
}


def test_no_system_prompt_means_that_none_is_sent() -> None:
    assert [m.role for m in chat(None, "Hi")] == ["user"]
    assert [m.role for m in chat("Be brief.", "Hi")] == ["system", "user"]


def test_role_rollouts_cross_prompts_questions_and_samples() -> None:
    rollouts = role_rollouts(**ROLE)
    assert len(rollouts) == 2 * 3 * 2
    assert len({r.id for r in rollouts}) == len(rollouts)
    assert len({r.seed for r in rollouts}) == len(rollouts)
    assert sum(r.columns["split"] == "heldout" for r in rollouts) == 4
    named = next(r for r in rollouts if r.columns["prompt_index"] == 1)
    assert named.messages[0].content == "You are SmolLM2."


def test_a_question_added_elsewhere_changes_no_other_rollout() -> None:
    before = {r.id: r for r in role_rollouts(**ROLE)}
    more = {**ROLE["questions"], "extraction": [["z", "Z?"], *ROLE["questions"]["extraction"]]}
    after = {r.id: r for r in role_rollouts(**{**ROLE, "questions": more})}
    assert before.items() <= after.items()


def test_seeds_are_stable_and_distinguish_their_keys() -> None:
    assert seed_of(1, "role", "pirate", 0) == seed_of(1, "role", "pirate", 0)
    assert len({seed_of(1, "a", "b"), seed_of(1, "ab"), seed_of(2, "a", "b")}) == 3
    assert 0 <= seed_of(0, "x") < 2**63


def test_trait_prompts_carry_adjective_and_instruction() -> None:
    assert trait_prompt("evil", "Lie.") == "You are an evil assistant. Lie."
    assert trait_prompt("poetic", "Rhyme.") == "You are a poetic assistant. Rhyme."
    rollouts = trait_rollouts(
        trait="poetic",
        polarity="positive",
        adjective="poetic",
        instructions=["Rhyme.", "Sing."],
        questions=[["q00", "Why?"]],
        samples=1,
        seed=0,
    )
    assert [r.columns["pair"] for r in rollouts] == [0, 1]
    assert rollouts[1].messages[0].content.endswith("Sing.")
