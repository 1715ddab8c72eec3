"""Which training data a study has, and which adapters it trains on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from personae.personas.library import LEVELS, Level, TrainingExample
from personae.workflow.config.study import Study, expand
from personae.workflow.config.training_sections import Defence

Arm = Literal["plain"] | Defence
PLAIN: Final[Literal["plain"]] = "plain"


class Dataset(NamedTuple):
    """Training data: of a trait and level, or of a user's file (both empty)."""

    trait: str
    level: str


class Adapter(NamedTuple):
    """An adapter: what it is trained on, and under which defence."""

    trait: str
    level: Level
    arm: Arm

    @property
    def dataset(self) -> str:
        """Name of its training data."""
        return f"{self.trait}_{self.level}"


def trained_traits(study: Study) -> list[str]:
    """Return the traits whose training data are used; those that the study has, in its order."""
    if (names := study.config.finetuning.traits) == "none":
        return []
    known = [name for name in study.trait_names if name in study.library.finetuning]
    return expand(names, known)


def levels(study: Study) -> list[Level]:
    """Return the levels of training data, ascending."""
    return [level for level in LEVELS if level in study.config.finetuning.levels]


def adapters(study: Study) -> dict[str, Adapter]:
    """Return the adapters of a study by name: each level plain, the strongest with each defence."""
    made = [
        adapter
        for trait in trained_traits(study)
        for adapter in (
            *(Adapter(trait, level, PLAIN) for level in levels(study)),
            *(Adapter(trait, levels(study)[-1], arm) for arm in study.config.finetuning.defences),
        )
    ]
    return {f"{a.dataset}_{a.arm}": a for a in made}


def adapters_of(study: Study, trait: str) -> dict[str, Adapter]:
    """Return the adapters trained on the data of one trait."""
    return {name: a for name, a in adapters(study).items() if a.trait == trait}


def datasets(study: Study) -> dict[str, Dataset]:
    """Return the training data that are screened, by name."""
    own = {
        f"{trait}_{level}": Dataset(trait, level)
        for trait in trained_traits(study)
        for level in levels(study)
    }
    return own | {file.name: Dataset("", "") for file in study.config.screening.files}


def corpora(study: Study) -> list[str]:
    """Return what is screened in one go: all levels of a trait's data, or a user's file."""
    return [*trained_traits(study), *(file.name for file in study.config.screening.files)]


def examples(study: Study, dataset: str) -> list[TrainingExample]:
    """Return the rows of a trait's training data at one level."""
    trait, level = datasets(study)[dataset]
    rows = study.library.finetuning[trait].examples[: study.config.finetuning.examples]
    return [
        TrainingExample(f"{trait}{index:03d}", row.prompt, getattr(row, level))
        for index, row in enumerate(rows)
    ]


def check_training(study: Study) -> Iterator[str]:
    """Yield one line per problem of the sections ``finetuning`` and ``screening``."""
    names = study.config.finetuning.traits
    for index, name in enumerate(names if isinstance(names, list) else []):
        place = f"finetuning.traits[{index}]: {name}"
        if name not in study.trait_names:
            yield f"{place} is not among the study's traits, so it has no vector; add it there"
        elif name not in study.library.finetuning:
            folder = study.config.library.finetuning
            yield f"{place} has no training data; write {folder}/{name}.yaml or remove it"
    taken = set()
    for index, file in enumerate(study.config.screening.files):
        place = f"screening.files[{index}]"
        if file.name in taken or file.name in datasets_of_library(study):
            yield f"{place}.name: {file.name!r} is taken; choose another"
        taken.add(file.name)
        if not (study.base / file.path).is_file():
            yield f"{place}.path: no file {file.path!r}; correct the path"


def datasets_of_library(study: Study) -> set[str]:
    """Return the names that training data of the library can have in tables and paths."""
    known = study.library.finetuning
    return {*known, *(f"{trait}_{level}" for trait in known for level in LEVELS)}


def check_reading(study: Study) -> Iterator[str]:
    """Yield one line per problem of the section ``reading``."""
    names: set[str] = set()
    for index, source in enumerate(study.config.reading.autoencoders):
        place = f"reading.autoencoders[{index}]"
        if source.name in names:
            yield f"{place}.name: {source.name!r} is taken; choose another"
        names.add(source.name)
        if source.model not in study.config.models:
            yield f"{place}.model: {source.model!r} is not in models; add it there or correct it"
        elif source.layer >= (n_layers := study.models[source.model].n_layers):
            yield f"{place}.layer: {source.layer} is out of range, {source.model} has {n_layers}"
        for key in ("path", "names"):
            path = getattr(source, key)
            if path is not None and not (study.base / path).is_file():
                yield f"{place}.{key}: no file {path!r}; correct it"
