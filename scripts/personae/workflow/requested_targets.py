"""Check the targets on Snakemake's command line against those that exist."""

from __future__ import annotations

import contextlib
import difflib
import io
import sys
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import NamedTuple


class CommandLine(NamedTuple):
    """The relevant options of Snakemake's command line and profile."""

    targets: tuple[str, ...] = ()
    is_dry: bool = False
    is_quiet: bool = False


def called_by_snakemake() -> bool:
    """Tell whether this process is Snakemake's command, and not one that uses its library."""
    command = Path(sys.argv[0])
    return "snakemake" in (command.name, command.parent.name)


def command_line() -> CommandLine:
    """Return what Snakemake was asked for; its settings are not there while it reads rules."""
    if not called_by_snakemake():
        return CommandLine()
    from snakemake.cli import parse_args  # type: ignore[import-untyped]

    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        options = parse_args(sys.argv[1:])[1]
    return CommandLine(tuple(options.targets or ()), bool(options.dryrun), bool(options.quiet))


def target_problems(
    asked: Iterable[str],
    rules: Collection[str],
    is_made: Callable[[str], bool],
    files: Callable[[], Iterable[str]],
) -> list[str]:
    """Return one line per target that is neither a rule, nor a file that is there or can be made.

    Parameters
    ----------
    asked
        Targets of the command line.
    rules
        Names of rules.
    is_made
        Tells whether a rule makes a file of this name.
    files
        Gives the study's files, among which the nearest name is sought.
    """
    problems = []
    for target in sorted(set(asked) - set(rules)):
        if Path(target).exists() or is_made(target):
            continue
        # Names of rules are short: no file of the study is near them.
        known = _beside(files(), target, is_made) if "/" in target else rules
        near = difflib.get_close_matches(target, list(known), n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else "; see rules/targets.smk"
        problems.append(f"{target}: no rule or file of this study has this name{hint}")
    return problems


def _beside(files: Iterable[str], target: str, is_made: Callable[[str], bool]) -> list[str]:
    """Return the files of the target's own name in folders of the study that a rule makes."""
    folders = sorted({Path(file).parent for file in files})
    named = [str(folder / Path(target).name) for folder in folders]
    return [name for name in named if is_made(name)]
