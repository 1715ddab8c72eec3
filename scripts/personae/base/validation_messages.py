"""Convert pydantic's validation errors to one line per problem: file, place, value, remedy."""

import difflib
import re
import reprlib
from collections.abc import Iterable, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_SHOWN = 60  # characters of an offending value
_LONGEST = 600  # characters of a message of our own checks
_PLAIN = re.compile(r"[^\s\x00-\x1f]{1,80}")


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return " (did you mean 'x'?)", the known names if they are few, or an empty string."""
    names = sorted(known)
    close = difflib.get_close_matches(str(word), names, n=1, cutoff=0.6)
    if close:
        return f" (did you mean {close[0]!r}?)"
    return f" (known: {', '.join(names)})" if 0 < len(names) <= 20 else ""


def place(location: Iterable[str | int]) -> str:
    """Format a location such as ``roles.names[3]``."""
    text = ""
    for part in location:
        name = part if isinstance(part, int) or _PLAIN.fullmatch(part) else shown(part)
        text += f"[{name}]" if isinstance(part, int) else f".{name}"
    return text.removeprefix(".")


def explain(source: str, error: ValidationError, model: type[BaseModel], data: Any) -> list[str]:
    """Return one line per problem that ``model`` found in ``data``, the content of ``source``."""
    return [_line(source, details, model, data) for details in error.errors(include_url=False)]


def _line(source: str, details: ErrorDetails, model: type[BaseModel], data: Any) -> str:
    location = _in_data(details["loc"], details["type"], data)
    where = f"{source}: {place(location)}" if location else source
    value = shown(details["input"])
    match details["type"]:
        case "extra_forbidden":
            key = location[-1]
            known = _fields_at(model, details["loc"][:-1])
            return (
                f"{where}: unknown key {shown(key)}{did_you_mean(key, known)}; correct or remove it"
            )
        case "missing":
            return f"{where}: missing; add it"
        case "value_error":
            message = " ".join(str(details["ctx"]["error"]).split())
            return f"{where}: {message[:_LONGEST]}"
        case "string_too_long":
            length, most = len(details["input"]), details["ctx"]["max_length"]
            return f"{where}: {value} has {length} characters; give {most} at most"
        case "string_pattern_mismatch":
            return f"{where}: {value} is not a name; use only a-z, 0-9 and _"
        case "too_short":
            least = details["ctx"]["min_length"]
            return f"{where}: too few entries; give at least {least}"
        case _:
            message = details["msg"].removeprefix("Input ").replace("should", "must", 1)
            return f"{where}: {message}, not {value}"


def _in_data(location: Sequence[str | int], kind: str, data: Any) -> list[str | int]:
    """Drop the parts of a pydantic location that are not keys of ``data`` (tags of unions)."""
    found: list[str | int] = []
    for index, part in enumerate(location):
        held = isinstance(data, dict) and part in data
        indexed = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if held or indexed:
            data = data[part]
            found.append(part)
        elif kind == "missing" and index == len(location) - 1:
            found.append(part)
    return found


def _fields_at(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """Return the keys that are accepted at ``location``."""
    for part in location:
        if isinstance(part, str) and part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation) or model
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the record that an annotation such as ``list[InstructionPair] | None`` mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(argument) for argument in get_args(annotation))
    return next((model for model in found if model), None)


def shown(value: object) -> str:
    """Return an offending value in at most 60 characters, without formatting all of it."""
    # Sliced first: the repr of a long text is as long.
    text = repr(value[: _SHOWN + 1]) if isinstance(value, str | bytes) else _SHORT.repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


class _ShortRepr(reprlib.Repr):
    """Representations of bounded length, whatever the value."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = 12
        self.maxstring = self.maxother = 2 * _SHOWN

    def repr_int(self, x: int, level: int) -> str:
        """Return the digits, or the length: Python does not print numbers of 5,000 digits."""
        return repr(x) if x.bit_length() < _SHOWN else f"a number of {x.bit_length()} bits"


_SHORT = _ShortRepr()
