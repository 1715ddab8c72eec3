"""Study files as Snakemake will read them, looked at before it does.

Snakemake loads the files of ``--configfile`` before any rule file is read, and what it says of a
broken one names neither line nor remedy; an alias bomb keeps it busy for good.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from personae.base.strict_yaml import YamlError, read_yaml

_DEFAULT = "config/demo.yaml"


def study_file_problem(arguments: Sequence[str]) -> str | None:
    """Return the one line that a Snakemake command line deserves for its study files, or None.

    Parameters
    ----------
    arguments
        Snakemake's, without its own name. Without ``--configfile`` the default study is read.
    """
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
    parser.add_argument("--configfile", "--configfiles", nargs="+", default=[_DEFAULT])
    try:
        names = parser.parse_known_args(list(arguments))[0].configfile
    except (argparse.ArgumentError, SystemExit):
        return None  # Snakemake has better words for it
    for name in names:
        if name != names[0] and not Path(name).exists():
            return (
                f"{name}: no such study file; --configfile takes every word after it, so write "
                f"targets before it, or behind another option (--configfile {names[0]} -n {name})"
            )
        try:
            content = read_yaml(Path(name), name)
        except YamlError as error:
            return str(error)
        if not isinstance(content, dict):
            return f"{name}: must map keys to values, as in config/demo.yaml; correct the file"
    return None
