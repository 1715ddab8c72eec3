"""The command ``personae``.

Exit status: 0 for success, 1 for an error that one line explains or for nothing found, 2 for
arguments that are not understood. ``personae --install-completion`` sets up the shell.
"""

from __future__ import annotations

import sys

import typer

from personae.base.errors import PersonaeError
from personae.tools import (
    compare_cli,
    doctor_cli,
    export_cli,
    judge_cli,
    label_cli,
    library_cli,
    model_cli,
    study_cli,
    trace_cli,
)

app = typer.Typer(
    name="personae",
    help="Study, steer and cap the personas of a language model.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
app.add_typer(library_cli.app, name="library")
app.add_typer(judge_cli.app, name="judge")
app.command("export")(export_cli.export)
app.command("import")(export_cli.import_vectors)
app.command("compare")(compare_cli.compare)
app.command("label")(label_cli.label)
app.command("doctor")(doctor_cli.doctor)
app.command("estimate")(study_cli.estimate)
app.command("trace")(trace_cli.trace)
app.command("serve")(model_cli.serve)
app.command("chat")(model_cli.chat)
app.command("steer")(model_cli.steer_once)
app.command("project")(model_cli.project_file)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status; an error is one line on stderr."""
    try:
        code = typer.main.get_command(app).main(
            args=arguments, prog_name="personae", standalone_mode=False
        )
    except typer.TyperException as error:
        print(f"{error.format_message().rstrip('.')}; see personae --help", file=sys.stderr)
        return error.exit_code
    except PersonaeError as error:
        print(error, file=sys.stderr)
        return 1
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        # The reader, such as `head`, has closed the pipe.
        sys.stderr.close()
        return 0
    return int(code or 0)


if __name__ == "__main__":
    sys.exit(main())
