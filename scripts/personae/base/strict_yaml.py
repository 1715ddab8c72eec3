"""YAML read strictly: a key that occurs twice, and anything that is not YAML, is refused."""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from personae.base.errors import PersonaeError


class YamlError(PersonaeError):
    """A file that is missing, is not YAML, or says one thing twice."""


class _StrictLoader(yaml.CSafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """The C parser, with mappings that refuse a repeated key (plain YAML keeps the last one)."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen: dict[Hashable, int] = {}
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if not isinstance(key, Hashable):
                raise yaml.MarkedYAMLError(
                    problem=f"{key!r} cannot be a key; write a plain name before the colon",
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
        How messages name the file; its path by default.

    Raises
    ------
    YamlError
        One line with file, line and remedy.
    """
    source = source or str(path)
    try:
        with path.open(encoding="utf-8") as stream:
            return yaml.load(stream, Loader=_StrictLoader)
    except FileNotFoundError:
        raise YamlError(f"{source}: no such file; create it or correct the path") from None
    except UnicodeDecodeError as error:
        raise YamlError(f"{source}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except yaml.MarkedYAMLError as error:
        raise YamlError(_marked(source, error)) from None
    except yaml.YAMLError as error:
        raise YamlError(f"{source}: not YAML: {' '.join(str(error).split())}") from None


def restore_types(config: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Give the values of ``given`` within ``config`` the types that YAML gives them, in place.

    Snakemake leaves everything inside a nested ``--config key={...}`` a string; a number on the
    command line must mean what it means in a file.
    """
    for key, value in given.items():
        if isinstance(value, Mapping) and isinstance(config.get(key), dict):
            restore_types(config[key], value)
        else:
            config[key] = _typed(value)


def _typed(value: Any) -> Any:
    if isinstance(value, str):
        return yaml.safe_load(value) if value else value
    if isinstance(value, Mapping):
        return {key: _typed(item) for key, item in value.items()}
    return [_typed(item) for item in value] if isinstance(value, list) else value


def _marked(source: str, error: yaml.MarkedYAMLError) -> str:
    """Return file, line and problem; and where the thing began that was not finished."""
    line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
    began = f" ({error.context}, line {error.context_mark.line + 1})" if error.context_mark else ""
    return f"{source}{line}: {error.problem}{began}"
