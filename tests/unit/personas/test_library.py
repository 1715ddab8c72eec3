"""The library: the shipped files are valid, and a bad file is rejected with file and place."""

from collections import Counter
from itertools import chain
from pathlib import Path

import pytest

from personae.base.errors import PersonaeError
from personae.data.table_values import DEFAULT
from personae.personas.library import LabelledDelusion, Library, load_library
from personae.personas.library.library_loader import PARTS
from personae.personas.library.settings import LibrarySection
from tests.unit.conftest import ROOT

PIRATE = "config/roles/archetype.yaml"
POETIC = "config/traits/poetic.yaml"
SEVEN = {
    "evil", "sycophantic", "hallucinating", "optimistic", "impolite", "apathetic", "humorous",
}  # fmt: skip
HELDOUT = "config/questions/heldout.yaml"


@pytest.fixture(scope="module")
def library() -> Library:
    return load_library(LibrarySection(), ROOT)


def test_roles_have_five_distinct_prompts(library: Library) -> None:
    for role in (*library.roles.values(), library.default):
        assert len(set(role.prompts)) == 5, role.slug
        assert role.description
    assert DEFAULT not in library.roles
    assert None in library.default.prompts
    assert any("{model_name}" in (prompt or "") for prompt in library.default.prompts)


def test_traits_are_complete(library: Library) -> None:
    for trait in library.traits.values():
        assert len(trait.pairs) >= 5, trait.slug
        assert len(trait.questions.extraction) >= 20, trait.slug
        assert len(trait.questions.evaluation) >= 20, trait.slug
        assert len(set(trait.monitoring)) >= 8, trait.slug
        assert len({shown.user for shown in trait.many_shot}) >= 20, trait.slug
        assert "REFUSAL" in trait.rubric, trait.slug
        questions = {*trait.questions.extraction, *trait.questions.evaluation}
        assert not questions & {shown.user for shown in trait.many_shot}, trait.slug


def test_the_library_has_the_papers_size(library: Library) -> None:
    assert len(library.roles) >= 275
    assert sum(role.susceptible for role in library.roles.values()) >= 50
    assert len({role.category for role in library.roles.values()}) == 8
    assert len(library.extraction) >= 240
    assert len(library.trait_space) >= 240
    assert len(library.trait_space_templates) == 5
    assert set(library.traits) >= SEVEN


def test_domains_have_five_users_of_twenty_topics(library: Library) -> None:
    assert set(library.domains) == {"coding", "writing", "therapy", "philosophy"}
    for domain in library.domains.values():
        assert [len(persona.topics) for persona in domain.personas] == [20] * 5


def test_harm_probes_are_two_and_more_of_twenty_kinds(library: Library) -> None:
    kinds = Counter(probe.category for probe in library.harm_probes)
    assert len(kinds) >= 20
    assert min(kinds.values()) >= 2


def test_case_studies_are_calm_and_drifting(library: Library) -> None:
    assert len(library.case_studies) >= 12
    kinds = {(talk.domain, talk.kind) for talk in library.case_studies.values()}
    for domain in ("delusion", "self_harm", "persona_jailbreak"):
        assert {(domain, "calm"), (domain, "drifting")} <= kinds


def test_labels_of_every_kind_are_twenty_and_more(library: Library) -> None:
    labelled = library.labelled
    sets = (labelled.role_labels, labelled.delusion_risk, labelled.harm, labelled.coherence)
    assert all(len(answers) >= 20 for answers in sets)
    assert set(labelled.traits) >= SEVEN
    assert all(len(answers) >= 20 for answers in labelled.traits.values())
    scores = Counter(answer.score for answer in labelled.roles)
    assert set(scores) == {0, 1, 2, 3}
    assert min(scores.values()) >= 20
    labels = Counter(answer.label for answer in labelled.role_labels)
    assert min(labels.values()) >= 5
    assert {answer.severity for answer in labelled.harm} == {0, 1, 2, 3}


def test_every_label_has_a_reason_and_no_answer_occurs_twice(library: Library) -> None:
    labelled = library.labelled
    kinds = (labelled.roles, labelled.coherence, labelled.role_labels, labelled.delusion_risk)
    answers = [*chain(*kinds, labelled.harm, *labelled.traits.values())]
    assert len({answer.response for answer in answers}) == len(answers)
    short = [answer.reason for answer in answers if len(answer.reason.split()) < 4]
    assert not short
    words = [len(answer.response.split()) for answer in answers]
    # Of all lengths: a judge must not learn that what is long is good.
    assert min(words) <= 5
    assert max(words) >= 80


def test_delusion_risk_runs_from_0_to_100() -> None:
    grades = {"user": "u", "response": "r", "reason": "x"}
    best = LabelledDelusion(**grades, avoids_amplification=5, normalises=5)
    worst = LabelledDelusion(**grades, avoids_amplification=1, normalises=1)
    middle = LabelledDelusion(**grades, avoids_amplification=5, normalises=1)
    assert [one.risk for one in (best, middle, worst)] == [0, 50, 100]


def test_questions_are_many_and_apart(library: Library) -> None:
    assert not {q.text for q in library.extraction} & {q.text for q in library.heldout}
    assert len(library.introspective) == 5
    topics = Counter(question.topic for question in library.extraction)
    assert max(topics.values()) <= 2 * min(topics.values())


def test_drift_has_a_calm_and_a_drifting_transcript_per_domain(library: Library) -> None:
    kinds: dict[str, set[str]] = {}
    for conversation in library.drift.values():
        kinds.setdefault(conversation.domain, set()).add(conversation.kind)
    assert {"coding", "writing", "therapy", "philosophy"} <= set(kinds)
    assert all(kind == {"calm", "drifting"} for kind in kinds.values())


def test_labels_are_of_the_library_and_enough(library: Library) -> None:
    labelled = library.labelled
    assert set(labelled.traits) <= set(library.traits)
    assert sum(len(items) >= 12 for items in labelled.traits.values()) >= 6
    assert {item.role for item in labelled.roles} <= {DEFAULT, *library.roles}
    assert len(labelled.roles) >= 60
    for items in labelled.traits.values():
        assert {item.score >= 50 for item in items} == {True, False}


def read_all(project: Path) -> None:
    library = load_library(LibrarySection(), project)
    for part in PARTS:
        getattr(library, part)


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        (PIRATE, "pirate:\n", "pirate:\n  colour: red\n", "pirate.*colour: unknown key"),
        (PIRATE, "pirate:\n", "default:\n", "default: reserved"),
        (PIRATE, "pirate:\n", "Pirate!:\n", "'Pirate!' is not a name"),
        (PIRATE, "pirate:\n", "poet:\n", "poet: also in archetype.yaml"),
        (PIRATE, "hermit:\n", "pirate:\n", r":\d+: duplicate key 'pirate'"),
        (PIRATE, "pirate:\n", "nobody:\n  description: x\n  prompts: []\npirate:\n", "at least 1"),
        (PIRATE, "pirate:\n", "nobody:\n  description: x\npirate:\n", "nobody.*prompts: missing"),
        (
            PIRATE,
            "pirate:\n",
            "nobody: {description: x, rubric: y, prompts: [null]}\npirate:\n",
            "only the default Assistant",
        ),
        (
            PIRATE,
            "pirate:\n",
            "nobody: {description: x, rubric: y, prompts: [You are., You are.]}\npirate:\n",
            r"prompts\[1\] repeats",
        ),
        (
            PIRATE,
            "pirate:\n",
            "nobody: {description: x, prompts: [You are.]}\npirate:\n",
            "nobody: rubric: missing",
        ),
        (
            PIRATE,
            "pirate:\n",
            "nobody: {description: x, prompts: [' ']}\npirate:\n",
            r"prompts\[0\]: empty text",
        ),
        (POETIC, "antonym:", "antonim:", "antonim: unknown key 'antonim' .did you mean 'antonym'"),
        (POETIC, 'name: "poetic"', 'name: ""', "poetic.yaml: name: empty text"),
        (
            POETIC,
            '"What is the ocean like at night?"',
            '"How do I boil an egg?"',
            "'How do I boil an egg.' is in both sets",
        ),
        (HELDOUT, "id: new_town", "id: rainy_day", "'rainy_day' is also in extraction.yaml"),
        (HELDOUT, "id: life_so_far", "id: new_town", "'new_town' repeats entry 0"),
        (HELDOUT, "questions:", "question:", "must hold the one key 'questions'"),
        ("config/questions/closed_answers.yaml", "answer: 3", "answer: 4", "answer 4 of only 4"),
        (
            "config/conversations/drift/coding_calm.yaml",
            "kind: calm",
            "kind: quiet",
            "coding_calm.yaml: kind: .*not 'quiet'",
        ),
        (
            "config/trait_space/templates.yaml",
            "be {name} rather",
            "be {nane} rather",
            "templates.1.: positive: no placeholder {nane}; use {name}",
        ),
        (
            "config/trait_space/templates.yaml",
            '- positive: "{positive}"',
            '- positive: "Be so."',
            "templates.0.: positive: {positive}, the trait's sentence, is missing",
        ),
        (
            "config/trait_space/motivational.yaml",
            "frugal:\n",
            "sycophantic:\n",
            "sycophantic: reserved for the trait in config/traits",
        ),
        (
            "config/trait_space/motivational.yaml",
            "frugal:\n",
            "frugal:\n  colour: red\n",
            "frugal: colour: unknown key",
        ),
        (
            "config/conversations/domains/coding.yaml",
            "domain: coding",
            "domain: codes",
            "coding.yaml: domain: 'codes' must equal the file's name",
        ),
        (
            "config/judging/labelled/harm.yaml",
            "harmful: true",
            "harmful: false",
            r"labelled/harm.yaml: \[\d+\]: harmful False with severity",
        ),
        (
            "config/judging/labelled/role_labels.yaml",
            "label: assistant",
            "label: robot",
            r"labelled/role_labels.yaml: \[\d+\].label: .*not 'robot'",
        ),
        (
            "config/judging/labelled/traits.yaml",
            "score: 97",
            "score: 197",
            r"labelled/traits.yaml: poetic\[0\].score: .*less than or equal to 100, not 197",
        ),
    ],
)
def test_a_bad_file_is_refused_by_name(
    project: Path, name: str, old: str, new: str, words: str
) -> None:
    path = project / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(PersonaeError, match=words) as caught:
        read_all(project)
    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value).startswith("config/")


def test_a_file_whose_name_is_no_slug_is_refused(project: Path) -> None:
    (project / POETIC).rename(project / "config/traits/Very Poetic.yaml")
    with pytest.raises(PersonaeError, match=r"Very Poetic\.yaml: not a name"):
        load_library(LibrarySection(), project)


def test_a_new_role_is_there_as_soon_as_its_file_is_saved(project: Path) -> None:
    (project / "config/roles/seafaring.yaml").write_text(
        "lighthouse_keeper:\n"
        "  description: A keeper who has tended one lamp for forty years.\n"
        "  rubric: Full play speaks of the lamp.\n"
        '  prompts: ["You are the keeper of a {lighthouse}."]\n',
        encoding="utf-8",
    )
    role = load_library(LibrarySection(), project).roles["lighthouse_keeper"]
    assert role.category == "seafaring"
    assert role.prompts == ["You are the keeper of a {lighthouse}."]
