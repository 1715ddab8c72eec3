"""The persona library: roles, traits, questions, conversations and labelled answers, as data."""

from personae.library.auditing import AuditorSheet, load_auditor
from personae.library.conversations import (
    Domain,
    DriftConversation,
    JailbreakConversation,
    Topic,
    UserPersona,
)
from personae.library.imported import library_digest
from personae.library.labels import (
    Labelled,
    LabelledAnswer,
    LabelledDelusion,
    LabelledHarm,
    LabelledRoleAnswer,
    LabelledRoleLabel,
)
from personae.library.load import Library, load_labelled, load_library
from personae.library.reader import LibraryError
from personae.library.records import (
    DEFAULT,
    ClosedItem,
    Exchange,
    HarmProbe,
    Pair,
    Question,
    Role,
    SpaceTemplate,
    SpaceTrait,
    Trait,
    TraitQuestionSets,
)
from personae.library.space import expand_trait

__all__ = [
    "DEFAULT",
    "AuditorSheet",
    "ClosedItem",
    "Domain",
    "DriftConversation",
    "Exchange",
    "HarmProbe",
    "JailbreakConversation",
    "Labelled",
    "LabelledAnswer",
    "LabelledDelusion",
    "LabelledHarm",
    "LabelledRoleAnswer",
    "LabelledRoleLabel",
    "Library",
    "LibraryError",
    "Pair",
    "Question",
    "Role",
    "SpaceTemplate",
    "SpaceTrait",
    "Topic",
    "Trait",
    "TraitQuestionSets",
    "UserPersona",
    "expand_trait",
    "library_digest",
    "load_auditor",
    "load_labelled",
    "load_library",
]
