"""The command ``personae``."""

from __future__ import annotations

import argparse
import sys

from personae.base.errors import PersonaeError
from personae.tools import export
from personae.tools import library_cli as library


def main(arguments: list[str] | None = None) -> int:
    """Run the command; on an error print one line and return 1."""
    parser = argparse.ArgumentParser(prog="personae", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    library.add_parser(commands)
    export.add_parser(commands)
    options = parser.parse_args(arguments)
    try:
        code: int = options.run(options)
    except PersonaeError as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader, such as `head`, has closed the pipe.
        sys.stderr.close()
        return 0
    return code


if __name__ == "__main__":
    sys.exit(main())
