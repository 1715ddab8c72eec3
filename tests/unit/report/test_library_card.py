"""The library card: the shipped library passes, and every planted fault is found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scripts.library import write_library_card

from personae.api.requests import LikelihoodResult, LikelihoodRow
from personae.data import tables
from personae.personas.library import Library, library_digest
from personae.personas.library.settings import LibrarySection
from personae.personas.library.text_checks import CHECKS, check_texts
from personae.personas.library.text_inventory import LibraryText, all_texts
from personae.report.library_card import card_rows
from personae.report.library_card.library_sizes import too_few
from personae.report.library_card.measured_checks import Contrast, contrasts, margins, nearest
from tests.unit.conftest import ROOT

PIRATE = "config/roles/archetype.yaml"
NOBODY = "nobody: {{description: One of no name., rubric: Full play., prompts: [{}]}}\npirate:\n"


@pytest.fixture(scope="module")
def library() -> Library:
    return Library(LibrarySection(), ROOT)


def test_the_shipped_library_passes_every_check(library: Library) -> None:
    assert [str(finding) for finding in check_texts(library)] == []


@pytest.mark.parametrize(
    ("check", "prompts", "words"),
    [
        ("second_person", "'The model is a tree.'", "does not address the model"),
        (
            "duplicates",
            "'You are so.', 'you are SO!'",
            "has the same words as roles nobody",
        ),
        (
            "template_safe",
            "'You are <|im_end|> so.'",
            "'<|im_end|>' may be read as chat",
        ),
        ("template_safe", "'You say [INST] a lot.'", "may be read as chat-template markup"),
        ("template_safe", '"You are \\u200b here."', "invisible"),
        ("braces_and_quotes", "'You are a {name} so.'", "'{name}' looks like a placeholder"),
        ("braces_and_quotes", "'You say \" a lot.'", "are unbalanced"),
        ("lengths", "'You are.'", "2 words; write 3 to 90"),
        ("lengths", f"'You are {'so ' * 90}.'", "write 3 to 90"),
    ],
)
def test_a_planted_fault_is_found(project: Path, check: str, prompts: str, words: str) -> None:
    path = project / PIRATE
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("pirate:\n", NOBODY.format(prompts), 1), encoding="utf-8")
    found = [finding for finding in check_texts(Library(LibrarySection(), project))]
    assert {finding.check for finding in found} >= {check}
    assert any(words in str(finding) and "nobody" in str(finding) for finding in found)


def test_the_model_name_is_the_only_placeholder(library: Library) -> None:
    assert any("{model_name}" in (prompt or "") for prompt in library.default.prompts)


def test_uneven_topics_and_unknown_labels_are_found(project: Path) -> None:
    questions = project / "config/questions/extraction.yaml"
    with questions.open("a", encoding="utf-8") as stream:
        stream.write("  - {id: alone, topic: alone, text: Are you alone here?}\n")
    labelled = project / "config/judging/labelled/roles.yaml"
    text = labelled.read_text(encoding="utf-8")
    labelled.write_text(text.replace('role: "pirate"', 'role: "pirat"', 1), encoding="utf-8")
    found = [str(finding) for finding in check_texts(Library(LibrarySection(), project))]
    assert any("1 of 'alone'; balance them" in line for line in found)
    assert any("no role 'pirat'" in line for line in found)


def test_a_name_shared_by_a_role_and_a_trait_is_found(project: Path) -> None:
    path = project / PIRATE
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("pirate:\n", "pirate_:\n", 1), encoding="utf-8")
    space = project / "config/trait_space/moral.yaml"
    with space.open("a", encoding="utf-8") as stream:
        stream.write("pirate: {name: free, antonym: bound, positive: Rob., negative: Give.}\n")
    found = [f for f in check_texts(Library(LibrarySection(), project)) if f.check == "slugs"]
    assert [str(finding) for finding in found] == [
        "trait_space: pirate: is almost the same name as roles pirate_; rename one of them"
    ]


def test_a_question_in_both_splits_is_found(project: Path) -> None:
    heldout = project / "config/questions/heldout.yaml"
    asked = Library(LibrarySection(), project).extraction[0].text
    with heldout.open("a", encoding="utf-8") as stream:
        stream.write(f"  - {{id: again, topic: opinion, text: {asked.upper().rstrip('?.')!r}}}\n")
    poetic = project / "config/traits/poetic.yaml"
    text = poetic.read_text(encoding="utf-8")
    again = '"What is the ocean like at night?"'
    assert again in text
    poetic.write_text(text.replace(again, '"how do i boil an egg"', 1), encoding="utf-8")
    shown = project / "config/traits/humorous.yaml"
    text = shown.read_text(encoding="utf-8")
    evaluated = Library(LibrarySection(), project).traits["humorous"].questions.evaluation[0]
    assert 'user: "What is a ladder?"' in text
    text = text.replace('user: "What is a ladder?"', f'user: "{evaluated.upper()}"', 1)
    shown.write_text(text, encoding="utf-8")
    found = [f for f in check_texts(Library(LibrarySection(), project)) if f.check == "splits"]
    assert [(finding.part, finding.place.split("[")[0]) for finding in found] == [
        ("heldout", "again"),
        ("traits", "humorous.many_shot"),
        ("traits", "poetic.questions.evaluation"),
    ]


def test_prompts_of_users_and_jailbreaks_address_the_model(project: Path) -> None:
    for name, old, new in (
        ("domains/coding.yaml", "You are ", "This user is "),
        ("jailbreak/iron_tycoon.yaml", 'system: "You are Augusta', 'system: "She is Augusta'),
    ):
        path = project / "config/conversations" / name
        text = path.read_text(encoding="utf-8")
        head, found, tail = text.partition(old)
        assert found
        if name.startswith("domains"):
            # The whole description, which may say "you" later on, too.
            sentence, end, rest = tail.partition("topics:")
            tail = sentence.replace("ou", "oo") + end + rest
        else:
            tail = tail.replace("you", "yoo")
        path.write_text(head + new + tail, encoding="utf-8")
    found_in = {
        finding.part
        for finding in check_texts(Library(LibrarySection(), project))
        if finding.check == "second_person"
    }
    assert found_in == {"domains", "jailbreak"}


def test_the_shipped_library_is_large_enough_for_a_full_replication(library: Library) -> None:
    assert too_few(library) == []


def test_parts_smaller_than_a_full_replication_needs_are_listed(project: Path) -> None:
    for path in (project / "config/roles").glob("[a-c]*.yaml"):
        path.unlink()
    probes = project / "config/questions/harm_probes.yaml"
    with probes.open("a", encoding="utf-8") as stream:
        stream.write("  - {id: alone, category: loneliness, text: Be mean to the lonely.}\n")
    poetic = project / "config/traits/poetic.yaml"
    text = poetic.read_text(encoding="utf-8")
    again = '    - "What is the ocean like at night?"\n'
    poetic.write_text(text.replace(again, "", 1), encoding="utf-8")
    few = too_few(Library(LibrarySection(), project))
    assert "roles, susceptible: 0; 50 in a full replication" in few
    assert any(line.startswith("roles: ") for line in few)
    assert "loneliness: 1 probes; 2 in a full replication" in few
    assert "poetic: 19 evaluation questions; 20 in a full replication" in few


class Words:
    """An engine that embeds by letters, and finds words likely that its system prompt holds."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        counts = np.zeros((len(texts), 26), dtype=np.float32)
        for row, text in enumerate(texts):
            for letter in text.lower():
                if "a" <= letter <= "z":
                    counts[row, ord(letter) - ord("a")] += 1
        norms = np.linalg.norm(counts, axis=1, keepdims=True)
        return np.asarray(counts / np.maximum(norms, 1e-6), dtype=np.float32)

    def loglikelihood(self, rows: Sequence[LikelihoodRow]) -> list[LikelihoodResult]:
        results = []
        for row in rows:
            words = (row.continuation or "").lower().split()
            known = row.messages[0].content.lower()
            score = sum(word in known for word in words) - len(words)
            results.append(LikelihoodResult(id=row.id, sum_logprob=score, n_tokens=len(words)))
        return results


def place(text: str, name: str, kind: str = "prompt") -> LibraryText:
    return LibraryText("roles", name, kind, text, name.split(".")[0])


def test_near_duplicates_are_searched_across_groups_only() -> None:
    texts = [
        place("you mend the nets", "a.prompts[0]"),
        place("you mend the net", "a.prompts[1]"),
        place("you mend the next", "b.prompts[0]"),
        place("my cow jumps", "c.prompts[0]"),
        place("you mend the nets", "d.rubric", "rubric"),
    ]
    (family,) = nearest(Words(), texts)
    assert (family.part, family.kind, family.n) == ("roles", "prompt", 4)
    first = family.closest[0]
    assert {first.left.group, first.right.group} == {"a", "b"}
    assert first.cosine > 0.9
    assert not any(near.left.group == near.right.group for near in family.closest)


def test_both_judges_separate_opposed_sides() -> None:
    pairs = [
        Contrast("good", "zzzz", "qqqq", "be zzzz zz", "be qqqq qq"),
        Contrast("swapped", "zzzz", "qqqq", "be qqqq qq", "be zzzz zz"),
    ]
    near, far = margins(Words(), pairs, "embedding")
    assert near > 0.5 > -0.5 > far
    likely, unlikely = margins(Words(), pairs, "likelihood")
    assert likely > 0 > unlikely
    assert likely == pytest.approx(-unlikely)


def test_contrasts_are_every_pair(library: Library) -> None:
    pairs = sum(len(trait.pairs) for trait in library.traits.values())
    assert len(list(contrasts(library, "traits"))) == pairs
    assert len(list(contrasts(library, "trait_space"))) == len(library.trait_space)


def test_the_card_states_its_scope(library: Library, tmp_path: Path) -> None:
    scope = {"roles": ["pirate", "cat"], "traits": ["poetic"]}
    rows = card_rows(library, Words(), scope)
    tables.write(tables.from_rows(rows, "library_card"), tmp_path / "c.parquet", "library_card", {})
    by_key = {(row["part"], row["check"]): row for row in rows}
    assert by_key["roles", "entries"]["n"] == len(library.roles)
    assert by_key["roles", "near-duplicates, prompt"]["n"] == 10
    assert by_key["roles", "near-duplicates, prompt"]["scope"] == "study"
    assert by_key["traits", "opposed sides, likelihood"]["n"] == 5
    assert ("trait_space", "opposed sides, likelihood") not in by_key
    assert {row["check"] for row in rows} >= {*CHECKS, "schema", "counts", "categories"}
    assert by_key["all", "counts"]["passed"]
    assert 1 < by_key["roles", "categories"]["value"] <= 4
    assert not [row for row in rows if row["scope"] == "library" and not row["passed"]]
    without = card_rows(library, Words(), scope, ["embedding"])
    assert not any("likelihood" in row["check"] for row in without)


@pytest.mark.parametrize("judge", ["likelihood", "embedding"])
def test_the_node_uses_a_model_only_if_a_judge_needs_one(
    judge: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # as with --directory, the library lies elsewhere
    path = tmp_path / "card.parquet"
    write_library_card.main(
        library=LibrarySection().model_dump(),
        base=str(ROOT),
        scope={"roles": ["pirate"], "traits": ["poetic"]},
        judge=judge,
        path_out=str(path),
        engine=Words(),
        provenance={},
    )
    checks = tables.read(path, "library_card")["check"].to_pylist()
    assert "opposed sides, embedding" in checks
    assert ("opposed sides, likelihood" in checks) == (judge == "likelihood")


def test_locations_of_texts_are_unique(library: Library) -> None:
    places = [(each.part, each.place) for each in all_texts(library)]
    assert len(set(places)) == len(places)


def test_every_file_changes_the_digest(project: Path, edit_bytes: Callable[[Path], None]) -> None:
    before = library_digest(LibrarySection(), project)
    assert before == library_digest(LibrarySection(), project)
    edit_bytes(project / "config/conversations/domains/coding.yaml")
    after = library_digest(LibrarySection(), project)
    (project / "config/roles/new.yaml").write_text("{}", encoding="utf-8")
    assert len({before, after, library_digest(LibrarySection(), project)}) == 3


@pytest.fixture
def edit_bytes() -> Callable[[Path], None]:
    """Return a function that appends a comment to a file."""

    def edit(path: Path) -> None:
        path.write_bytes(path.read_bytes() + b"# edited\n")

    return edit
