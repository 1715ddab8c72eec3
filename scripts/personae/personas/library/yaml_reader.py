"""Reading records from YAML files, with every message naming file and place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from personae.base.errors import PersonaeError
from personae.base.field_types import Slug, Strict
from personae.base.strict_yaml import read_yaml
from personae.base.validation_messages import explain
from personae.personas.library.labelled_answers import Labelled

_R = TypeVar("_R", bound=Strict)
_SLUG: TypeAdapter[str] = TypeAdapter(Slug)
_FILE_PART = re.compile(r"^: (\w+)\.?")


class LibraryError(PersonaeError):
    """A library file that cannot be used: one line per problem."""


@dataclass(frozen=True)
class Reader:
    """Reads files below ``base`` and names them as the study does."""

    base: Path

    def yaml(self, name: str) -> Any:
        """Return the content of one file."""
        return read_yaml(self.base / name, name)

    def files(self, folder: str) -> list[str]:
        """Return the YAML files of a folder, by name; one at least."""
        names = sorted(path.name for path in (self.base / folder).glob("*.yaml"))
        if not names:
            raise LibraryError(f"{folder}: no .yaml file in this folder; correct the path")
        return [f"{folder}/{name}" for name in names]

    def record(self, name: str, model: type[_R], **known: Any) -> _R:
        """Return the one record of a file; ``known`` is what the file's name says."""
        return validate(name, model, self.yaml(name), (), **known)

    def folder(self, folder: str, model: type[_R]) -> dict[str, _R]:
        """Return one record per file, by slug (the file's name)."""
        return {
            slug: self.record(name, model, slug=slug)
            for name in self.files(folder)
            for slug in [slug_of(name)]
        }

    def named(
        self, names: Iterable[str], model: type[_R], reserved: Mapping[str, str]
    ) -> dict[str, _R]:
        """Return the records of files that map slugs to records; the file's name is the category.

        Parameters
        ----------
        reserved
            Slugs that must not be used, and what they are kept for.
        """
        homes: dict[str, str] = {}
        records: dict[str, _R] = {}
        for name in names:
            data = self.yaml(name)
            if not isinstance(data, dict):
                raise LibraryError(f"{name}: must map each name to its record")
            for slug, item in data.items():
                if slug in reserved:
                    raise LibraryError(f"{name}: {slug}: reserved for {reserved[slug]}; rename it")
                if slug in homes:
                    other = Path(homes[slug]).name
                    raise LibraryError(f"{name}: {slug}: also in {other}; rename one of them")
                homes[slug] = name
                known = {"slug": slug, "category": slug_of(name)}
                records[slug] = validate(name, model, item, (slug,), **known)
        return records

    def entries(self, name: str, key: str, model: type[_R]) -> list[_R]:
        """Return the records in the list ``key`` of a file; ids and texts occur once."""
        data = self.yaml(name)
        if not isinstance(data, dict) or set(data) != {key} or not isinstance(data[key], list):
            raise LibraryError(f"{name}: must hold the one key {key!r} with a list")
        records = [validate(name, model, item, (key, i)) for i, item in enumerate(data[key])]
        for field in ("id", "text", "question"):
            _refuse_repeats(name, key, field, [getattr(r, field, None) for r in records])
        return records

    def labelled(self, folder: str) -> Labelled:
        """Return the labelled answers of the files of a folder."""
        sets = {part: self.yaml(f"{folder}/{part}.yaml") for part in Labelled.model_fields}
        try:
            return Labelled.model_validate(sets)
        except ValidationError as error:
            lines = explain(folder, error, Labelled, sets)
            # The first part of a place is the file: "traits.poetic[0]" is poetic[0] of traits.yaml.
            named = [
                _FILE_PART.sub(rf"{folder}/\1.yaml: ", line.removeprefix(folder)) for line in lines
            ]
            raise LibraryError("\n".join(named)) from None


def validate(name: str, model: type[_R], item: Any, at: tuple[str | int, ...], **known: Any) -> _R:
    """Return the record that ``item``, found ``at`` a place of file ``name``, describes.

    Parameters
    ----------
    known
        Values that follow from the file's name, and must not be in ``item``.

    Raises
    ------
    LibraryError
        One line per problem: file, place, value and remedy.
    """
    where = f"{name}: {''.join(_place(at))}" if at else name
    if not isinstance(item, dict):
        raise LibraryError(f"{where}: must be a record of keys, not {item!r:.60}")
    if repeated := set(item) & set(known):
        raise LibraryError(f"{where}: {min(repeated)}: follows from the file's name; remove it")
    data = {**item, **known}
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise LibraryError("\n".join(explain(where, error, model, data))) from None


def _place(at: tuple[str | int, ...]) -> Iterator[str]:
    for index, part in enumerate(at):
        yield f"[{part}]" if isinstance(part, int) else f"{'.' if index else ''}{part}"


def slug_of(name: str) -> str:
    """Return the slug that a file's name is.

    Raises
    ------
    LibraryError
        When it is none.
    """
    try:
        return _SLUG.validate_python(Path(name).stem)
    except ValidationError:
        suffix = Path(name).suffix
        raise LibraryError(f"{name}: not a name; use only a-z, 0-9 and _ before {suffix}") from None


def _refuse_repeats(name: str, key: str, field: str, values: Iterable[Any]) -> None:
    seen: dict[Any, int] = {}
    for index, value in enumerate(values):
        if value is not None and value in seen:
            repeat = f"{value!r} repeats entry {seen[value]}; change one of them"
            raise LibraryError(f"{name}: {key}[{index}].{field}: {repeat}")
        seen[value] = index
