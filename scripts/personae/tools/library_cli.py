"""``personae library``: list, search, show, check and draft the personas of a study."""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from personae.base.errors import PersonaeError
from personae.base.strict_yaml import read_yaml
from personae.personas.library.library_loader import PARTS, Library
from personae.personas.library.settings import LibrarySection
from personae.personas.library.text_inventory import all_texts
from personae.tools.library_display import Entry, entries, find, system_prompts
from personae.workflow.config import load_config, load_study, shortfalls


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of ``personae``."""
    parser = commands.add_parser("library", help=__doc__, description=__doc__)
    parser.add_argument("--root", type=Path, default=Path(), help="project root (default: here)")
    parser.add_argument(
        "--study", type=Path, help="study whose library and imports to use (default: shipped)"
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="sizes of all parts, or all entries of one part")
    listing.add_argument("part", nargs="?", choices=PARTS, metavar="PART", help=", ".join(PARTS))
    listing.set_defaults(run=_list)
    search = actions.add_parser("search", help="all texts that contain all given words")
    search.add_argument("words", nargs="+", metavar="WORD")
    search.set_defaults(run=_search)
    _add_show(actions)
    check = actions.add_parser("check", help="validate every file and check the texts")
    check.set_defaults(run=_check)
    _add_draft(actions)


def _add_show(actions: Any) -> None:
    show = actions.add_parser(
        "show", help="one role or trait, and its rendered chat with token counts"
    )
    show.add_argument("name", help="name of a role or trait, or default")
    show.add_argument("--model", help="prepared model of the table, or a folder with a tokenizer")
    show.add_argument("--prompt", type=int, metavar="N", help="only prompt or pair N, from 0")
    show.add_argument(
        "--question", metavar="TEXT", help="user message (default: its first question)"
    )
    show.set_defaults(run=_show)


def _add_draft(actions: Any) -> None:
    draft = actions.add_parser(
        "draft", help="draft a new trait with the study's artifact writer, for review"
    )
    draft.add_argument("name", help="name of the trait: a-z, 0-9 and _")
    draft.add_argument("--description", required=True, help="what the trait is, in a sentence")
    # --study is also accepted before the action, as for the other commands.
    draft.add_argument(
        "--study",
        type=Path,
        default=argparse.SUPPRESS,
        help="study that names assignments.artifact_writer",
    )
    draft.add_argument("--seed", type=int, metavar="N", help="seed of the draft")
    draft.set_defaults(run=_draft)


def _library(options: argparse.Namespace) -> Library:
    section = load_config(options.study).library if options.study else LibrarySection()
    return Library(section, options.root)


def _list(options: argparse.Namespace) -> int:
    library = _library(options)
    if options.part is None:
        for part in PARTS:
            print(f"{len(entries(library, part)):6}  {part}")
        return 0
    for entry in entries(library, options.part):
        print(_line(entry))
    return 0


def _line(entry: Entry) -> str:
    width = max(60, shutil.get_terminal_size().columns - 42)
    return f"{entry.name:28} {entry.group:12} {textwrap.shorten(entry.about, width)}"


def _search(options: argparse.Namespace) -> int:
    words = [word.casefold() for word in options.words]
    found = 0
    for place in all_texts(_library(options)):
        where = f"{place.part}: {place.place}"
        if all(word in f"{where} {place.text}".casefold() for word in words):
            found += 1
            print(f"{where}: {place.text}")
    print(f"{found} texts", file=sys.stderr)
    return 0 if found else 1


def _show(options: argparse.Namespace) -> int:
    library = _library(options)
    persona = find(library, options.name)
    print(persona.text)
    if options.model is None:
        print("\nGive --model to see the rendered chat.")
        return 0
    # Imported here: the tokenizer library takes seconds to load, and only this command needs it.
    from personae.tools.rendered_chats import Renderer

    renderer = Renderer(options.model, options.root)
    question = options.question or persona.question
    for label, system in _chosen(library, options, renderer.display_name):
        text, n_system, n_all = renderer.render(system, question)
        print(f"\n=== {label}: {n_all} tokens, {n_system} of them for the system prompt")
        print(text)
    return 0


def _chosen(
    library: Library, options: argparse.Namespace, model_name: str
) -> Iterator[tuple[str, str | None]]:
    prompts = system_prompts(library, options.name, model_name)
    numbers = sorted({number for number, _, _ in prompts})
    if options.prompt is not None and options.prompt not in numbers:
        last = numbers[-1]
        raise PersonaeError(f"{options.name}: no prompt {options.prompt}; give 0 to {last}")
    for number, label, system in prompts:
        if options.prompt in (None, number):
            yield label, system


def _check(options: argparse.Namespace) -> int:
    # Imported here, since only this command needs the report's checks.
    from personae.personas.library.text_checks import check_texts

    library = _library(options)
    problems = [line for part in PARTS for line in _unreadable(library, part)]
    if not problems:
        problems = [str(finding) for finding in check_texts(library)] + _broken_studies(options)
    for line in problems:
        print(line, file=sys.stderr)
    print(f"{len(problems)} problems" if problems else "no problems found")
    return int(bool(problems))


def _broken_studies(options: argparse.Namespace) -> list[str]:
    """Return the errors of the project's studies, or of the given study."""
    paths = [options.study] if options.study else sorted(options.root.glob("config/*.yaml"))
    problems = []
    for path in paths:
        source = path.absolute() if options.study else path.relative_to(options.root)
        try:
            content = read_yaml(path, str(source))
            if isinstance(content, dict) and "study" in content:
                study = load_study(content, options.root, [source])
                for line in shortfalls(study):
                    print(f"{source}: {line}")
        except PersonaeError as error:
            problems += str(error).splitlines()
    return problems


def _unreadable(library: Library, part: str) -> list[str]:
    try:
        getattr(library, part)
    except PersonaeError as error:
        return str(error).splitlines()
    return []


def _draft(options: argparse.Namespace) -> int:
    # Imported here: the client library of endpoints is slow to load.
    from personae.workflow.trait_drafting import draft_trait

    if options.study is None:
        raise PersonaeError("draft: give --study, which names assignments.artifact_writer")
    config = load_config(options.study)
    path = draft_trait(options.name, options.description, config, options.root, options.seed)
    print(f"wrote {path}: review every line; studies with traits.names: all now include it")
    return 0
