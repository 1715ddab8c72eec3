"""``personae library``: list, search, show, check and draft the personas of a study."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from personae.base.errors import PersonaeError
from personae.base.strict_yaml import read_yaml
from personae.personas.library.library_loader import PARTS, Library
from personae.personas.library.settings import LibrarySection
from personae.personas.library.text_inventory import all_texts
from personae.tools.library_display import ListLine, entries, find, system_prompts
from personae.workflow.config import load_config, load_study, shortfalls

app = typer.Typer(
    help="List, search, show, check and draft the personas of a study.", no_args_is_help=True
)


@dataclass(frozen=True)
class _Place:
    """The project's root, and the study whose library and imports are used."""

    root: Path
    study: Path | None

    def library(self) -> Library:
        section = load_config(self.study).library if self.study else LibrarySection()
        return Library(section, self.root)


@app.callback()
def _place(
    context: typer.Context,
    root: Annotated[Path, typer.Option(help="Project root.")] = Path(),
    study: Annotated[
        Path | None, typer.Option(help="Study whose library and imports to use.")
    ] = None,
) -> None:
    context.obj = _Place(root, study)


@app.command("list")
def list_parts(
    context: typer.Context,
    part: Annotated[str | None, typer.Argument(help=", ".join(PARTS))] = None,
) -> None:
    """List the sizes of all parts, or all entries of one part."""
    library = context.obj.library()
    if part is None:
        for name in PARTS:
            print(f"{len(entries(library, name)):6}  {name}")
        return
    if part not in PARTS:
        raise typer.BadParameter(f"{part!r} is no part; give one of {', '.join(PARTS)}.")
    for entry in entries(library, part):
        print(_line(entry))


def _line(entry: ListLine) -> str:
    width = max(60, shutil.get_terminal_size().columns - 42)
    return f"{entry.name:28} {entry.group:12} {textwrap.shorten(entry.about, width)}"


@app.command()
def search(
    context: typer.Context,
    words: Annotated[list[str], typer.Argument(help="Words that a text must all contain.")],
) -> None:
    """Print all texts that contain all given words.

    Example: personae library search lighthouse keeper
    """
    wanted = [word.casefold() for word in words]
    found = 0
    for place in all_texts(context.obj.library()):
        where = f"{place.part}: {place.place}"
        if all(word in f"{where} {place.text}".casefold() for word in wanted):
            found += 1
            print(f"{where}: {place.text}")
    print(f"{found} texts", file=sys.stderr)
    if not found:
        raise typer.Exit(1)


@app.command()
def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of a role or trait, or default.")],
    model: Annotated[
        str | None,
        typer.Option(help="Prepared model of the table, or a folder with a tokenizer."),
    ] = None,
    prompt: Annotated[int | None, typer.Option(help="Only prompt or pair N, from 0.")] = None,
    question: Annotated[
        str | None, typer.Option(help="User message (default: its first question).")
    ] = None,
) -> None:
    """Print one role or trait, and its rendered chat with token counts.

    Example: personae library show pirate --model smollm2_135m
    """
    library = context.obj.library()
    persona = find(library, name)
    print(persona.text)
    if model is None:
        print("\nGive --model to see the rendered chat.")
        return
    # Imported here: the tokenizer library takes seconds to load, and only this command needs it.
    from personae.tools.rendered_chats import ChatRenderer

    renderer = ChatRenderer(model, context.obj.root)
    asked = question or persona.question
    for label, system in _chosen(library, name, prompt, renderer.display_name):
        text, n_system, n_all = renderer.render(system, asked)
        print(f"\n=== {label}: {n_all} tokens, {n_system} of them for the system prompt")
        print(text)


def _chosen(
    library: Library, name: str, prompt: int | None, model_name: str
) -> Iterator[tuple[str, str | None]]:
    prompts = system_prompts(library, name, model_name)
    numbers = sorted({number for number, _, _ in prompts})
    if prompt is not None and prompt not in numbers:
        raise PersonaeError(f"{name}: no prompt {prompt}; give 0 to {numbers[-1]}")
    for number, label, system in prompts:
        if prompt in (None, number):
            yield label, system


@app.command()
def check(context: typer.Context) -> None:
    """Validate every file of the library and of the studies, and check the texts."""
    # Imported here, since only this command needs the report's checks.
    from personae.personas.library.text_checks import check_texts

    library = context.obj.library()
    problems = [line for part in PARTS for line in _unreadable(library, part)]
    if not problems:
        problems = [str(finding) for finding in check_texts(library)] + _broken_studies(context.obj)
    for line in problems:
        print(line, file=sys.stderr)
    print(f"{len(problems)} problems" if problems else "no problems found")
    if problems:
        raise typer.Exit(1)


def _broken_studies(place: _Place) -> list[str]:
    """Return the errors of the project's studies, or of the given study."""
    paths = [place.study] if place.study else sorted(place.root.glob("config/*.yaml"))
    problems = []
    for path in paths:
        source = path.absolute() if place.study else path.relative_to(place.root)
        try:
            content = read_yaml(path, str(source))
            if isinstance(content, dict) and "study" in content:
                study = load_study(content, place.root, [source])
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


@app.command()
def draft(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the trait: a-z, 0-9 and _.")],
    description: Annotated[str, typer.Option(help="What the trait is, in a sentence.")],
    # --study is also accepted before the action, as for the other commands.
    study: Annotated[
        Path | None, typer.Option(help="Study that names assignments.artifact_writer.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the draft.")] = None,
) -> None:
    """Draft a new trait with the study's artifact writer, for review."""
    # Imported here: the client library of endpoints is slow to load.
    from personae.workflow.trait_drafting import draft_trait

    place: _Place = context.obj
    chosen = study or place.study
    if chosen is None:
        raise PersonaeError("draft: give --study, which names assignments.artifact_writer")
    path = draft_trait(name, description, load_config(chosen), place.root, seed)
    print(f"wrote {path}: review every line; studies with traits.names: all now include it")
