"""``personae library draft``: a whole and sound trait is written, anything else is not."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from personae.base.strict_yaml import read_yaml
from personae.personas.library import Library
from personae.personas.library.settings import LibrarySection
from personae.tools.cli import main
from tests.unit.conftest import ROOT
from tests.unit.endpoints.conftest import _fast_and_with_key, serve
from tests.unit.endpoints.misbehaving import Endpoint, Reply, completion, failure

__all__ = ["_fast_and_with_key", "serve"]

ABOUT = "The assistant {expects} things to turn out well."
TRAIT = read_yaml(ROOT / "config/traits/optimistic.yaml")
TRAIT.pop("description")
ASKED = [*TRAIT["questions"]["extraction"], *TRAIT["questions"]["evaluation"]]
DRAFT = {**TRAIT, "questions": ASKED}


def edited(**changes: Any) -> str:
    """Return the draft with some of its keys replaced; None removes one."""
    item = {**copy.deepcopy(DRAFT), **changes}
    return json.dumps({key: value for key, value in item.items() if value is not None})


class Desk:
    """A project without the trait that is drafted, a study, and an endpoint that writes."""

    def __init__(self, project: Path, endpoint: Endpoint) -> None:
        (project / "config/traits/optimistic.yaml").unlink()
        self.root, self.endpoint = project, endpoint
        self.path = project / "config/traits/sunny.yaml"
        self.reply: Reply = completion(edited())
        self.repaired: Reply | None = None
        self.asked: list[dict[str, Any]] = []
        endpoint.behave = self._behave
        writer = {"base_url": endpoint.url, "model": "scribe", "key_variable": "PLANTED_KEY",
                  "max_tokens": 10000, "attempts": 1}  # fmt: skip
        self.study = {"study": "s", "models": ["smollm2_135m"], "endpoints": {"writer": writer},
                      "assignments": {"artifact_writer": "writer"}}  # fmt: skip

    def _behave(self, body: dict[str, Any], _: int) -> Reply:
        self.asked.append(body)
        again = len(body["messages"]) > 2
        return self.repaired if again and self.repaired else self.reply

    def draft(self, name: str = "sunny", *more: str) -> int:
        """Run the command and return its status."""
        study = self.root / "study.yaml"
        study.write_text(yaml.safe_dump(self.study), encoding="utf-8")
        command = ["library", "--root", str(self.root), "draft", name, "--description", ABOUT]
        return main([*command, "--study", str(study), *more])

    def files(self) -> list[str]:
        """Return the names of the traits' files, partial ones too."""
        return sorted(path.name for path in (self.root / "config/traits").iterdir())


@pytest.fixture
def desk(project: Path, serve: Callable[..., Endpoint]) -> Desk:
    return Desk(project, serve(lambda body, _: failure(500)))


def test_a_draft_becomes_a_trait_of_the_library(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert desk.draft() == 0
    assert "review every line" in capsys.readouterr().out
    trait = Library(LibrarySection(), desk.root).traits["sunny"]
    assert trait.description == ABOUT
    made = trait.model_dump(exclude={"slug", "description"})
    sets = made.pop("questions")
    assert made == {key: value for key, value in DRAFT.items() if key != "questions"}
    assert len(sets["extraction"]) == len(sets["evaluation"]) == 20
    assert sorted(sets["extraction"] + sets["evaluation"]) == sorted(ASKED)
    assert sets["extraction"] != ASKED[:20], "the first ideas are not all in one set"
    assert "Drafted by scribe" in desk.path.read_text().splitlines()[0]
    (body,) = desk.asked
    assert body["model"] == "scribe"
    asked = body["messages"][1]["content"]
    assert "trait of character in a language model: sunny." in asked
    assert f"What it is: {ABOUT}" in asked


def test_the_same_draft_is_asked_for_once_and_another_seed_is_another(desk: Desk) -> None:
    assert desk.draft() == 0
    first = desk.path.read_text()
    desk.path.unlink()
    assert desk.draft() == 0
    assert (len(desk.asked), desk.path.read_text()) == (1, first)
    desk.path.unlink()
    assert desk.draft("sunny", "--seed", "1") == 0
    assert [body.get("seed") for body in desk.asked] == [None, 1]


def test_a_reply_within_a_fence_is_read(desk: Desk) -> None:
    desk.reply = completion(f"```json\n{edited()}\n```\n")
    assert desk.draft() == 0


def test_near_duplicates_are_left_out_and_what_remains_is_divided(desk: Desk) -> None:
    again = [f"{ASKED[0].rstrip('?')}, please?", DRAFT["many_shot"][0]["user"].upper()]
    desk.reply = completion(edited(questions=[*again[1:], ASKED[0], *again[:1], *ASKED[1:]]))
    assert desk.draft() == 0
    sets = Library(LibrarySection(), desk.root).traits["sunny"].questions
    assert set(sets.extraction + sets.evaluation) == set(ASKED)


def test_a_reply_that_cannot_be_used_is_sent_back_once_with_what_is_wrong(desk: Desk) -> None:
    desk.reply, desk.repaired = completion(edited(rubric=None)), completion(edited())
    assert desk.draft() == 0
    first, second = desk.asked
    assert second["messages"][:2] == first["messages"]
    assert [m["role"] for m in second["messages"]] == ["system", "user", "assistant", "user"]
    assert "the draft of sunny: rubric: missing" in second["messages"][3]["content"]
    assert desk.path.is_file()


def test_a_repair_that_is_no_better_is_refused_with_its_own_reason(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.reply, desk.repaired = completion("What?"), completion(edited(name=" "))
    assert desk.draft() == 1
    assert "name: empty text" in capsys.readouterr().err
    assert len(desk.asked) == 2
    assert not desk.path.exists()


FEW = [*ASKED[:39], f"{ASKED[0].rstrip('?')}, please?"]
LIKE = [*DRAFT["pairs"][:4], {**DRAFT["pairs"][0], "negative": "Never do that."}]
LOOSE = [{**DRAFT["pairs"][0], "positive": 'Say "yes, always.'}, *DRAFT["pairs"][1:]]


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (completion("Here is your trait!"), "the draft of sunny: the reply is no JSON"),
        (completion("[1]"), "no JSON object"),
        (completion('{"name": "a", "name": "b"}'), "the key 'name' twice"),
        (completion(edited(rubric=None)), "the draft of sunny: rubric: missing; add it"),
        (completion(edited(rubrik="x")), "rubrik: unknown key 'rubrik' (did you mean 'rubric'?)"),
        (completion(edited(name=" ")), "name: empty text"),
        (completion(edited(pairs=[*DRAFT["pairs"], 3])), "pairs[5]: "),
        (completion(edited(slug="other")), "slug: given by the file's name"),
        (completion(edited(description="mine")), "description: is yours"),
        (completion(edited(pairs=DRAFT["pairs"][:4])), "pairs: 4 different ones, 5 were asked"),
        (completion(edited(pairs=LIKE)), "pairs: 4 different ones, 5 were asked for"),
        (completion(edited(questions=TRAIT["questions"])), "questions: must be a list of texts"),
        (completion(edited(questions=FEW)), "questions: 39 different ones, 40 are needed"),
        (completion(edited(monitoring=["You are one."])), "monitoring: 1 entries, 8 are the least"),
        (completion(edited(rubric="0 is none, 100 is all.")), "rubric: does not say when to reply"),
        (completion(edited(pairs=LOOSE)), "sunny.pairs[0].positive: '\"' and '\"' are unbalanced"),
        (completion(edited(), finish="length"), "max_tokens: 10000 cut the draft off"),
        (completion("I'd rather not.", finish="content_filter"), "no draft (content_filter"),
        (failure(400, "content_filter"), "endpoints.writer: no draft (HTTP 400"),
        (failure(500), "endpoints.writer: "),
    ],
)
def test_what_is_no_whole_and_sound_trait_writes_nothing(
    desk: Desk, capsys: pytest.CaptureFixture[str], reply: Reply, words: str
) -> None:
    before, desk.reply = desk.files(), reply
    assert desk.draft() == 1
    errors = capsys.readouterr().err
    assert words in errors
    assert len(errors.splitlines()) == 1
    assert desk.files() == before


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("poetic", "config/traits/poetic.yaml: poetic is there already"),
        ("frugal", "frugal is in the trait space"),
        ("Sunny!", "not a name; use only a-z, 0-9 and _"),
    ],
)
def test_a_name_that_is_taken_or_invalid_sends_no_request(
    desk: Desk, capsys: pytest.CaptureFixture[str], name: str, words: str
) -> None:
    poetic = (desk.root / "config/traits/poetic.yaml").read_text()
    assert desk.draft(name) == 1
    assert words in capsys.readouterr().err
    assert desk.asked == []
    assert (desk.root / "config/traits/poetic.yaml").read_text() == poetic


def test_a_study_without_writer_and_no_study_are_one_line(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.study["assignments"] = {}
    assert desk.draft() == 1
    assert capsys.readouterr().err.startswith("assignments.artifact_writer: not set")
    assert main(["library", "--root", str(desk.root), "draft", "x", "--description", "y"]) == 1
    assert "give --study" in capsys.readouterr().err
