"""Read YAML strictly: repeated keys, expanding aliases and files that are not text are rejected."""

import stat
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from personae.base.errors import PersonaeError
from personae.base.yaml_limits import check_depth, check_growth

_MOST_BYTES: Final = 64 * 2**20
_MERGE: Final = "tag:yaml.org,2002:merge"


class YamlError(PersonaeError):
    """A file that is missing, is not YAML, or repeats a key."""


class _StrictLoader(yaml.CSafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """The C parser, which also rejects repeated keys (PyYAML keeps the last one)."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, OverflowError) as error:
            # For example a number of 5,000 digits, or the 30th of February.
            problem = f"{str(node.value)[:40]!r} cannot be read ({error}); correct or quote it"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from None

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen: dict[Hashable, int] = {}
        for key_node, _ in node.value:
            if key_node.tag == _MERGE:
                continue
            key = self.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if not isinstance(key, Hashable):
                raise yaml.MarkedYAMLError(
                    problem=f"{str(key)[:40]} cannot be a key; write a plain name before the colon",
                    problem_mark=key_node.start_mark,
                )
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"duplicate key {key!r} (first on line {seen[key]}); keep one of them",
                    problem_mark=key_node.start_mark,
                )
            seen[key] = line
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        return mapping


def read_yaml(path: Path, source: str | None = None) -> Any:
    """Return the content of one YAML file.

    Parameters
    ----------
    path
        File to read, UTF-8.
    source
        Name of the file in messages; its path by default.

    Raises
    ------
    YamlError
        One line with file, line and remedy.
    """
    source = source or str(path)
    try:
        return parse_yaml(_text(path, source))
    except UnicodeDecodeError as error:
        raise YamlError(f"{source}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except yaml.MarkedYAMLError as error:
        raise YamlError(_marked(source, error)) from None
    except yaml.YAMLError as error:
        raise YamlError(f"{source}: not YAML: {_one_line(error)}") from None


def parse_yaml(text: str) -> Any:
    """Return the content of a YAML text.

    Raises
    ------
    yaml.YAMLError
        When it is not YAML, repeats a key, or is nested too deeply or expands too much.
    """
    check_depth(text)
    loader = _StrictLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if "&" in text and "*" in text:
            check_growth(node)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _text(path: Path, source: str) -> str:
    """Return the text of a regular file; reading a pipe might never end."""
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise YamlError(f"{source}: is a folder, not a file; rename it or correct the path")
        if not stat.S_ISREG(found.st_mode):
            raise YamlError(f"{source}: is not a regular file; put a text file there")
        if found.st_size > _MOST_BYTES:
            raise YamlError(
                f"{source}: has {found.st_size:,} bytes; a YAML file has 64 MiB at most"
            )
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise YamlError(f"{source}: no such file; create it or correct the path") from None
    except OSError as error:
        raise YamlError(f"{source}: cannot be read ({error.strerror}); check it") from None


def restore_types(config: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Parse the values of ``given`` within ``config`` as YAML, in place.

    Snakemake leaves everything inside a nested ``--config key={...}`` as strings; a number on the
    command line must have the same type as in a file.

    Raises
    ------
    YamlError
        When a value is not YAML.
    """
    for key, value in given.items():
        if isinstance(value, Mapping) and isinstance(config.get(key), dict):
            restore_types(config[key], value)
        else:
            config[key] = _typed(value)


def _typed(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return parse_yaml(value) if value else value
        except yaml.YAMLError as error:
            raise YamlError(f"--config: {value[:60]!r} is not YAML: {_one_line(error)}") from None
    if isinstance(value, Mapping):
        return {key: _typed(item) for key, item in value.items()}
    return [_typed(item) for item in value] if isinstance(value, list) else value


def _marked(source: str, error: yaml.MarkedYAMLError) -> str:
    """Return file, line and problem, and where an unfinished element started."""
    line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
    began = f" ({error.context}, line {error.context_mark.line + 1})" if error.context_mark else ""
    return f"{source}{line}: {_one_line(error.problem)}{began}"


def _one_line(problem: object) -> str:
    return " ".join(str(problem).split())
