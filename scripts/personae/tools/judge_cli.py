"""``personae judge``: what judges left unscored."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_args

import typer

from personae.base.errors import PersonaeError
from personae.judging.judge_types import Reason

app = typer.Typer(help="What judges left unscored.", no_args_is_help=True)


@app.callback()
def _judge() -> None:
    """Keep the name of the one command."""


@app.command("forget")
def forget(
    reason: Annotated[
        list[str],
        typer.Option(help=f"Why a response is unscored: {', '.join(get_args(Reason))}."),
    ],
    study: Annotated[Path, typer.Option(help="Study file.")] = Path("config/demo.yaml"),
    judge: Annotated[
        list[str] | None, typer.Option(help="Only answers of this endpoint (default: all).")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Delete nothing.")] = False,
) -> None:
    """Delete stored answers that left responses unscored; the next run asks for them again.

    Example: personae judge forget --study config/paper.yaml --reason refusal --reason filtered
    """
    # Imported here, since other commands do not need it.
    from personae.judging.forgotten_answers import forget as forget_answers
    from personae.workflow.config import load_config

    config = load_config(study)
    names = judge or sorted(config.endpoints)
    _require_known("--reason", reason, get_args(Reason))
    _require_known("--judge", names, sorted(config.endpoints))
    results = Path("results") / config.study
    found = forget_answers(results, Path(config.judging.answers), names, reason, is_dry=dry_run)
    for path in found.paths:
        print(path)
    print(
        f"{found.responses} unscored responses in {len(found.paths)} tables; "
        f"{found.answers} stored answers deleted"
        + (" (dry run)" if dry_run else "; run the study to judge them again")
    )


def _require_known(option: str, given: list[str], known: tuple[str, ...] | list[str]) -> None:
    for name in given:
        if name not in known:
            accepted = ", ".join(known) or "none: the study has no endpoints"
            raise PersonaeError(f"{option}: {name!r} is unknown; accepted: {accepted}")
