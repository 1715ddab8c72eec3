"""Markdown tables of the keys of a record, from its JSON schema."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel

Schema = Mapping[str, Any]

_LIMITS = {
    "minimum": ">=",
    "exclusiveMinimum": ">",
    "maximum": "<=",
    "exclusiveMaximum": "<",
}
_NOUN = re.compile(r"^(name|text|integer|number|boolean|section)\b")


class ReferenceRow(NamedTuple):
    """One row of a reference table."""

    path: str
    kind: str
    default: str
    meaning: str


def table(model: type[BaseModel], hidden: frozenset[str] = frozenset()) -> str:
    """Return a Markdown table of a record's keys; keys of nested records are dotted."""
    schema = model.model_json_schema()
    return render([key for key in keys(schema, schema) if key.path not in hidden])


def render(rows: list[ReferenceRow]) -> str:
    """Return keys as a Markdown table."""
    lines = ["| Key | Value | Default | Meaning |", "| --- | --- | --- | --- |"]
    for key in rows:
        cells = (f"`{key.path}`", key.kind, key.default, key.meaning)
        lines.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
    return "\n".join(lines)


def keys(schema: Schema, root: Schema, prefix: str = "") -> Iterator[ReferenceRow]:
    """Yield the keys of an object schema in order, with nested objects flattened."""
    required = schema.get("required", ())
    for name, field in schema["properties"].items():
        target = resolve(field, root)
        if "properties" in target:
            yield from keys(target, root, f"{prefix}{name}.")
            continue
        default = "*required*" if name in required else _default(field)
        yield ReferenceRow(f"{prefix}{name}", kind(field, root), default, _sentence(field, target))
        # Keys of an optional section, or of the records in a list.
        for inner in _inner(field, root):
            yield from keys(inner, root, f"{prefix}{name}{_suffix(field)}.")


def resolve(field: Schema, root: Schema) -> Schema:
    """Resolve a field's reference, if it is one."""
    if "$ref" not in field:
        return field
    found: Schema = root["$defs"][field["$ref"].rsplit("/", 1)[-1]]
    return found


def kind(field: Schema, root: Schema) -> str:
    """Describe the type of a value in words."""
    field = resolve(field, root)
    for union in ("anyOf", "oneOf"):
        if union in field:
            return " or ".join(kind(choice, root) for choice in field[union])
    if "const" in field or "enum" in field:
        return " or ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    match field.get("type"):
        case "array" if "prefixItems" in field:
            return "[first, last]"
        case "array":
            return f"list of {_plural(kind(field['items'], root))}"
        case "object" if "properties" in field:
            return "section"
        case "object" if values := _values(field):
            return f"mapping of names to {_plural(kind(values, root))}"
        case "object":
            return "mapping"
        case "string":
            return "name" if "pattern" in field else "text"
        case other:
            return _number(str(other), field)


def _number(base: str, field: Schema) -> str:
    limits = [f"{sign} {field[key]:g}" for key, sign in _LIMITS.items() if key in field]
    return " ".join([base, ", ".join(limits)]).strip()


def _plural(words: str) -> str:
    return _NOUN.sub(r"\1s", words)


def _default(field: Schema) -> str:
    value = json.dumps(field.get("default"), ensure_ascii=False)
    return f"`{value.strip(chr(34)) or '(empty)'}`"


def _sentence(field: Schema, target: Schema) -> str:
    text = str(field.get("description") or target.get("description", ""))
    return " ".join(text.replace("<", "&lt;").split())


def _values(field: Schema) -> Schema:
    """Return the schema of a mapping's values; empty if any value is allowed."""
    named = list(field.get("patternProperties", {}).values())
    found = named[0] if named else field.get("additionalProperties")
    return found if isinstance(found, dict) else {}


def _inner(field: Schema, root: Schema) -> Iterator[Schema]:
    choices = [field, *field.get("anyOf", ()), field.get("items", {}), _values(field)]
    for choice in choices:
        target = resolve(choice, root)
        if "$ref" in choice and "properties" in target:
            yield target


def _suffix(field: Schema) -> str:
    if field.get("type") == "object" and _values(field):
        return ".<name>"
    return "[]" if field.get("type") == "array" else ""
