"""The command ``personae library``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from personae.tools.cli import main
from tests.unit.conftest import ROOT

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    """Return a function that runs the command and returns status, output and errors."""

    def run(*arguments: str, root: Path = ROOT) -> tuple[int, str, str]:
        status = main(["library", "--root", str(root), *arguments])
        return status, *capsys.readouterr()

    return run


def test_list_counts_every_part(said: Said) -> None:
    status, out, _ = said("list")
    assert status == 0
    counts = {part: int(n) for n, part in (line.split() for line in out.splitlines())}
    assert counts["roles"] >= 275
    assert counts["default"] == 1


@pytest.mark.parametrize(
    "part", ["roles", "trait_space", "domains", "labelled", "closed", "capability"]
)
def test_list_names_the_entries_of_a_part(said: Said, part: str) -> None:
    status, out, _ = said("list", part)
    assert status == 0
    lines = out.splitlines()
    assert len(lines) >= 4
    assert all(len(line.split()) >= 3 for line in lines)


def test_search_finds_every_word_anywhere(said: Said) -> None:
    status, out, _ = said("search", "PIRATE", "captain")
    assert status == 0
    assert "roles: pirate.prompts[0]: You are a pirate captain" in out
    assert all("pirate" in line.lower() and "captain" in line.lower() for line in out.splitlines())
    assert said("search", "xylophagous", "zeppelin")[0] == 1


def test_show_prints_the_record(said: Said) -> None:
    status, out, _ = said("show", "pirate")
    assert status == 0
    assert "category: archetype" in out
    assert "--model" in out


def test_an_unknown_name_is_one_line(said: Said) -> None:
    status, out, errors = said("show", "pirat")
    assert (status, out) == (1, "")
    assert errors == "no role or trait 'pirat' (did you mean 'pirate'?); see list\n"


def test_a_model_that_is_not_prepared_is_one_line(said: Said) -> None:
    status, _, errors = said("show", "pirate", "--model", "nowhere")
    assert status == 1
    assert "results/models/nowhere/manifest.json" in errors


def test_check_names_a_fault_and_fails(said: Said, project: Path) -> None:
    status, out, errors = said("check", root=project)
    assert (status, errors) == (0, "")
    # The demo names no auditor, which is said but is no fault.
    note, last = out.splitlines()
    assert note.startswith("config/demo.yaml: drift.simulated: the studied model plays the user")
    assert last == "no problems found"
    path = project / "config/traits/poetic.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("antonym:", "antonim:", 1), encoding="utf-8")
    status, out, errors = said("check", root=project)
    assert status == 1
    assert "config/traits/poetic.yaml: antonim: unknown key" in errors
    assert "problems" in out


def test_show_renders_the_chat_and_counts_tokens(said: Said, tmp_path: Path) -> None:
    folder = tokenizer(tmp_path / "tiny")
    status, out, _ = said("show", "pirate", "--model", str(folder), "--prompt", "0")
    assert status == 0
    assert "<system>You are a pirate captain" in out
    assert "<user>" in out
    assert out.rstrip().endswith("<assistant>")
    status, out, _ = said("show", "frugal", "--model", str(folder), "--prompt", "1")
    assert out.count("=== pair 1, ") == 2
    assert "You are a frugal assistant. In everything" in out
    status, out, _ = said("show", "default", "--model", str(folder), "--prompt", "0")
    assert "<system>" not in out
    assert ", 0 of them for the system prompt" in out
    question = "Is it late?"
    status, out, _ = said("show", "cat", "--model", str(folder), "--question", question)
    assert out.count(f"<user>{question}") == 5


def test_a_prompt_that_there_is_not_is_one_line(said: Said, tmp_path: Path) -> None:
    folder = tokenizer(tmp_path / "tiny")
    status, _, errors = said("show", "pirate", "--model", str(folder), "--prompt", "5")
    assert (status, errors) == (1, "pirate: no prompt 5; give 0 to 4\n")


def tokenizer(folder: Path) -> Path:
    """Save a tokenizer of single characters with a chat template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = pre_tokenizers.ByteLevel.alphabet()
    core = Tokenizer(models.BPE({letter: i for i, letter in enumerate(sorted(alphabet))}, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=core)
    fast.chat_template = (
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    fast.save_pretrained(folder)
    return folder
