"""Read records from YAML files; every error names file and place."""

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
    """An invalid library file; one line per problem."""


@dataclass(frozen=True)
class LibraryReader:
    """Reads files below ``base``; messages show paths as written in the study."""

    base: Path

    def yaml(self, name: str) -> Any:
        """Return the content of one file."""
        return read_yaml(self.base / name, name)

    def files(self, folder: str) -> list[str]:
        """Return the YAML files of a folder, sorted by name; raises if there is none."""
        names = sorted(path.name for path in (self.base / folder).glob("*.yaml"))
        if not names:
            raise LibraryError(f"{folder}: no .yaml file in this folder; correct the path")
        return [f"{folder}/{name}" for name in names]

    def record(self, name: str, model: type[_R], **known: Any) -> _R:
        """Return the single record of a file; ``known`` are fields given by the file's name."""
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
            Slugs that must not be used, with their reserved meaning.
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
        """Return the records in the list ``key`` of a file; ids and texts must be unique."""
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
            # The first part of a location is the file: traits.poetic[0] is poetic[0] in
            # traits.yaml.
            named = [
                _FILE_PART.sub(rf"{folder}/\1.yaml: ", line.removeprefix(folder)) for line in lines
            ]
            raise LibraryError("\n".join(named)) from None


def validate(name: str, model: type[_R], item: Any, at: tuple[str | int, ...], **known: Any) -> _R:
    """Validate ``item``, found at location ``at`` of file ``name``, as a record.

    Parameters
    ----------
    known
        Fields given by the file's name; they must not be in ``item``.

    Raises
    ------
    LibraryError
        One line per problem: file, place, value and remedy.
    """
    where = f"{name}: {''.join(_place(at))}" if at else name
    if not isinstance(item, dict):
        raise LibraryError(f"{where}: must be a record of keys, not {item!r:.60}")
    if repeated := set(item) & set(known):
        raise LibraryError(f"{where}: {min(repeated)}: given by the file's name; remove it")
    data = {**item, **known}
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise LibraryError("\n".join(explain(where, error, model, data))) from None


def _place(at: tuple[str | int, ...]) -> Iterator[str]:
    for index, part in enumerate(at):
        yield f"[{part}]" if isinstance(part, int) else f"{'.' if index else ''}{part}"


def slug_of(name: str) -> str:
    """Return the stem of a file name as a slug.

    Raises
    ------
    LibraryError
        If it is not a valid slug.
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
