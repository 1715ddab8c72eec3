"""Load the persona library of a study from its files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from personae.base.field_types import Strict
from personae.data.table_values import DEFAULT
from personae.personas.library.capability_items import CapabilityItem
from personae.personas.library.conversation_records import (
    Domain,
    DriftConversation,
    JailbreakConversation,
)
from personae.personas.library.imported_sets import read_imports
from personae.personas.library.labelled_answers import Labelled
from personae.personas.library.records import (
    ClosedItem,
    HarmProbe,
    Question,
    Role,
    SpaceTemplate,
    SpaceTrait,
    Trait,
)
from personae.personas.library.training_sets import TrainingSet
from personae.personas.library.yaml_reader import LibraryError, LibraryReader, slug_of

if TYPE_CHECKING:
    from personae.personas.library.import_source import ImportedPart, ImportSource
    from personae.personas.library.settings import LibrarySection

_R = TypeVar("_R", bound=Strict)
_Q = TypeVar("_Q", Question, HarmProbe)
_TEMPLATES = "templates.yaml"


class Library:
    """The personas, questions and conversations that a study can select; mappings keep file order.

    Each part is read on first access and cached, since most studies use few parts.

    Parameters
    ----------
    section
        Paths of the files, relative to ``base``.

    Raises
    ------
    LibraryError, YamlError
        On access to a part with a malformed file; one line with file, place, value and remedy.
    """

    def __init__(self, section: LibrarySection, base: Path = Path()) -> None:
        self._section, self._reader = section, LibraryReader(base)
        self.notes: list[str] = []
        """One line for every imported file of which some records were left out."""

    @cached_property
    def roles(self) -> Mapping[str, Role]:
        """Roles of all categories, without the default Assistant."""
        return self._with_imports("roles", Role, self._own_roles)

    def _own_roles(self) -> dict[str, Role]:
        section = self._section
        names = [name for name in self._reader.files(section.roles) if name != section.default_role]
        return self._reader.named(names, Role, {DEFAULT: "the default Assistant"})

    @cached_property
    def default(self) -> Role:
        """The default Assistant."""
        if sources := self._sources("default"):
            return read_imports(sources, Role, self._reader.base, {}, self.notes)[DEFAULT]
        name = self._section.default_role
        return self._reader.record(name, Role, slug=DEFAULT, category=DEFAULT)

    @cached_property
    def traits(self) -> Mapping[str, Trait]:
        """Traits with their own questions, rubric and examples."""
        folder = self._section.traits
        return self._with_imports("traits", Trait, lambda: self._reader.folder(folder, Trait))

    @cached_property
    def trait_space(self) -> Mapping[str, SpaceTrait]:
        """Traits of the trait space, which templates expand."""
        names = [
            name
            for name in self._reader.files(self._section.trait_space)
            if Path(name).name != _TEMPLATES
        ]
        taken = {slug: f"the trait in {self._section.traits}" for slug in self.traits}
        return self._reader.named(names, SpaceTrait, taken)

    @cached_property
    def trait_space_templates(self) -> list[SpaceTemplate]:
        """Templates of the trait space's instruction pairs."""
        name = f"{self._section.trait_space}/{_TEMPLATES}"
        return self._reader.entries(name, "templates", SpaceTemplate)

    @cached_property
    def extraction(self) -> list[Question]:
        """Questions on which role vectors are extracted."""
        return self._questions("extraction")

    @cached_property
    def heldout(self) -> list[Question]:
        """Questions for evaluation; disjoint from ``extraction``."""
        questions = self._questions("heldout")
        _refuse_shared(self._section.questions, self.extraction, questions)
        return questions

    @cached_property
    def introspective(self) -> list[Question]:
        """Questions of the role-susceptibility experiment."""
        return self._questions("introspective")

    @cached_property
    def closed(self) -> list[ClosedItem]:
        """Very easy multiple-choice questions."""
        name = f"{self._section.questions}/closed_answers.yaml"
        return self._reader.entries(name, "items", ClosedItem)

    @cached_property
    def capability(self) -> list[CapabilityItem]:
        """Short items with exact answers."""
        name = f"{self._section.questions}/capability.yaml"
        return self._reader.entries(name, "items", CapabilityItem)

    @cached_property
    def harm_probes(self) -> list[HarmProbe]:
        """Harmful requests that a safe assistant declines or redirects."""
        name = f"{self._section.questions}/harm_probes.yaml"
        return list(
            self._with_imports(
                "harm_probes",
                HarmProbe,
                lambda: _by_id(self._reader.entries(name, "questions", HarmProbe)),
            ).values()
        )

    @cached_property
    def drift(self) -> Mapping[str, DriftConversation]:
        """Transcripts, calm and drifting."""
        return self._transcripts("drift")

    @cached_property
    def case_studies(self) -> Mapping[str, DriftConversation]:
        """Transcripts about delusion, self-harm, companionship and the like."""
        return self._transcripts("case_studies")

    @cached_property
    def jailbreak(self) -> Mapping[str, JailbreakConversation]:
        """Persona jailbreaks."""
        folder = f"{self._section.conversations}/jailbreak"
        return self._reader.folder(folder, JailbreakConversation)

    @cached_property
    def domains(self) -> Mapping[str, Domain]:
        """Domains of simulated conversations: users and their topics."""
        domains: dict[str, Domain] = {}
        for name in self._reader.files(f"{self._section.conversations}/domains"):
            record = self._reader.record(name, Domain)
            if record.domain != slug_of(name):
                raise LibraryError(f"{name}: domain: {record.domain!r} must equal the file's name")
            domains[record.domain] = record
        return domains

    @cached_property
    def finetuning(self) -> Mapping[str, TrainingSet]:
        """Training data by trait."""
        return self._reader.folder(self._section.finetuning, TrainingSet)

    @cached_property
    def labelled(self) -> Labelled:
        """Answers with human labels, used to calibrate judges and measure their agreement."""
        return self._reader.labelled(f"{self._section.judging}/labelled")

    def _transcripts(self, part: ImportedPart) -> Mapping[str, DriftConversation]:
        folder = f"{self._section.conversations}/{part}"
        return self._with_imports(
            part, DriftConversation, lambda: self._reader.folder(folder, DriftConversation)
        )

    def _questions(self, split: str) -> list[Question]:
        name = f"{self._section.questions}/{split}.yaml"
        return list(
            self._with_imports(
                split, Question, lambda: _by_id(self._reader.entries(name, "questions", Question))
            ).values()
        )

    def _with_imports(
        self, part: str, model: type[_R], own: Callable[[], Mapping[str, _R]]
    ) -> dict[str, _R]:
        """Return the library's records of a part with the imported ones added or substituted."""
        sources = self._sources(part)
        replaced = any(source.replace for source in sources)
        records = {} if replaced else own()
        base = self._reader.base
        return read_imports(sources, model, base, records, self.notes) if sources else {**records}

    def _sources(self, part: str) -> list[ImportSource]:
        return [source for source in self._section.imports if source.part == part]


STUDIED = (
    "roles", "default", "traits", "extraction", "heldout", "closed", "capability", "drift",
    "jailbreak", "labelled",
)  # fmt: skip
"""Parts that every study uses."""
PARTS = (
    *STUDIED, "introspective", "trait_space", "trait_space_templates", "harm_probes", "domains",
    "case_studies", "finetuning",
)  # fmt: skip
"""All parts of the library."""


def load_library(section: LibrarySection, base: Path = Path()) -> Library:
    """Return the library at the paths of ``section``, which are relative to ``base``.

    The parts that every study uses are read now, the others on first access.

    Raises
    ------
    LibraryError, YamlError
        With file, place, value and remedy.
    """
    library = Library(section, base)
    for part in STUDIED:
        getattr(library, part)
    return library


def load_labelled(folder: str, base: Path = Path()) -> Labelled:
    """Load only the labelled answers below ``folder/labelled``.

    Raises
    ------
    LibraryError, YamlError
        With file, place, value and remedy.
    """
    return LibraryReader(base).labelled(f"{folder}/labelled")


def _by_id(records: Iterable[_Q]) -> dict[str, _Q]:
    return {record.id: record for record in records}


def _refuse_shared(folder: str, left: Iterable[Question], right: Iterable[Question]) -> None:
    """Raise if a question is in both splits: evaluation questions must be held out."""
    for field in ("id", "text"):
        known = {getattr(question, field) for question in left}
        for index, question in enumerate(right):
            if (value := getattr(question, field)) in known:
                place = f"{folder}/heldout.yaml: questions[{index}].{field}"
                raise LibraryError(f"{place}: {value!r} is also in extraction.yaml; keep it in one")
