"""Rollouts: their messages and random streams."""

import pytest

from personae.api.rollout import Rollout, seed_of
from personae.personas.system_prompts import trait_prompt
from personae.rollouts.persona_rollouts import role_rollouts, trait_rollouts

QUESTIONS = {"extraction": [["tea", "Tea or coffee?"]], "heldout": [["sea", "What is the sea?"]]}


def rollouts(**changes: object) -> list[Rollout]:
    arguments = {
        "role": "default",
        "prompts": [None, "You are {model_name}.", "Say {this} and {that}."],
        "questions": QUESTIONS,
        "samples": 2,
        "model_name": "Ada",
        "seed": 1,
    }
    return role_rollouts(**{**arguments, **changes})  # type: ignore[arg-type]


def test_every_prompt_question_and_sample_once() -> None:
    made = rollouts()
    assert len(made) == 3 * 2 * 2
    assert len({r.id for r in made}) == len({r.seed for r in made}) == len(made)
    assert {r.columns["split"] for r in made} == {"extraction", "heldout"}
    assert all(r.columns["question"] == r.messages[-1].content for r in made)


def test_system_prompts() -> None:
    systems = [[m.content for m in r.messages[:-1]] for r in rollouts(samples=1)]
    assert systems == [[], ["You are Ada."], ["Say {this} and {that}."]] * 2


def test_seeds_do_not_depend_on_what_else_is_asked() -> None:
    before = {r.id: r.seed for r in rollouts()}
    more = {**QUESTIONS, "extraction": [["new", "New?"], *QUESTIONS["extraction"]]}
    after = {r.id: r.seed for r in rollouts(questions=more, samples=3)}
    assert before.items() <= after.items()
    assert not set(before.values()) & {r.seed for r in rollouts(role="pirate")}
    assert not set(before.values()) & {r.seed for r in rollouts(seed=2)}
    assert 0 <= seed_of(1, "x") < 2**63


@pytest.mark.parametrize(
    ("adjective", "article"),
    [
        ("poetic", "a"),
        ("optimistic", "an"),
        ("honest", "an"),
        ("humorous", "a"),
        ("unusual", "an"),
        ("useful", "a"),
        ("upbeat", "an"),
        ("uniform", "a"),
        ("evil", "an"),
        ("euphoric", "a"),
    ],
)
def test_the_article_of_a_trait(adjective: str, article: str) -> None:
    assert trait_prompt(adjective, "Go.") == f"You are {article} {adjective} assistant. Go."


def test_trait_rollouts() -> None:
    made = trait_rollouts(
        trait="poetic",
        polarity="negative",
        adjective="plain-spoken",
        instructions=["Be plain.", "Be flat."],
        questions=[["q00", "What is rain?"]],
        samples=1,
        seed=1,
    )
    assert [r.columns["pair"] for r in made] == [0, 1]
    assert made[0].messages[0].content == "You are a plain-spoken assistant. Be plain."
    assert len({r.seed for r in made}) == 2
