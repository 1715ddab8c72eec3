"""Studies that extend another one: ``extends: config/demo.yaml`` and what differs from it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from personae.base.strict_yaml import YamlError, read_yaml

EXTENDS: Final = "extends"


def extended(config: Mapping[str, Any], base: Path, source: str) -> dict[str, Any]:
    """Return a study with the file that it extends filled in, as if it were written out.

    Sections are merged key by key at every depth; any other value, a list or null among them,
    replaces that of the extended file. The file may extend another one.

    Parameters
    ----------
    config
        Content of the study; without ``extends`` it is returned as it is.
    base
        Project root. ``extends`` is relative to it, as every path in a study is; a path that
        begins with ``./`` or ``../`` is relative to the file that says so.
    source
        The study's file, for messages and relative paths.

    Raises
    ------
    YamlError
        In one line, if an extended file cannot be read, is no study, or extends itself.
    """
    return _extended(config, base, [source])


def extend_in_place(config: dict[str, Any], base: Path, sources: Sequence[str | Path]) -> None:
    """Like `extended`, for the mapping that Snakemake merged from ``sources`` and ``--config``.

    What the files extend comes first, in their order. Nodes see the merged study, and their
    provenance is the same as that of the study written out.
    """
    if config.get(EXTENDS) is None:
        return
    contents = {str(path): read_yaml(base / path, str(path)) or {} for path in sources}
    said = {path: content[EXTENDS] for path, content in contents.items() if EXTENDS in content}
    if config[EXTENDS] not in said.values():
        said["--config"] = config[EXTENDS]
    below: dict[str, Any] = {}
    for path, named in said.items():
        below = _merged(below, _extended_file(named, base, [path]))
    own = _own(config, " and ".join(said))
    config.clear()
    config.update(_merged(below, own))


def label(source: str | Path, content: object) -> str:
    """Return how messages name a study: its file, and what that extends."""
    below = content.get(EXTENDS) if isinstance(content, dict) else None
    return f"{source} (extends {below})" if below else str(source)


def _extended(config: Mapping[str, Any], base: Path, chain: list[str]) -> dict[str, Any]:
    if config.get(EXTENDS) is None:
        return dict(config)
    below = _extended_file(config[EXTENDS], base, chain)
    return _merged(below, _own(config, chain[-1]))


def _own(config: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return what a study says itself; it has to have a name, since results go by the name."""
    if "study" not in config:
        raise YamlError(
            f"{source}: study: missing; give the study a name of its own, such as study: mine "
            "(its results would replace those of the study that it extends)"
        )
    return {key: value for key, value in config.items() if key != EXTENDS}


def _extended_file(named: object, base: Path, chain: list[str]) -> dict[str, Any]:
    """Return the whole study of the file that the last file of ``chain`` extends."""
    here = chain[-1]
    if not isinstance(named, str) or not named:
        raise YamlError(f"{here}: extends: {named!r} is not a path; name one study file")
    path = base / named
    if named.startswith(("./", "../")):
        path = (base / here).parent / named
        named = os.path.relpath(path, base)
    followed = [(base / name).resolve() for name in chain]
    if path.resolve() in followed:
        loop = " -> ".join([*chain, named])
        raise YamlError(f"{here}: extends: {loop} is a circle; remove one of these lines")
    try:
        content = read_yaml(path, named)
    except YamlError as error:
        raise YamlError(f"{here}: extends: {error}") from None
    if not isinstance(content, dict):
        raise YamlError(f"{here}: extends: {named} is no study; name a file as config/demo.yaml")
    return _extended(content, base, [*chain, named])


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if isinstance(value, Mapping) and isinstance(under, Mapping):
            merged[key] = _merged(under, value)
        else:
            merged[key] = value
    return merged
