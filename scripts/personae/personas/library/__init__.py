"""The persona library: roles, traits, questions, conversations and labelled answers."""

from personae.personas.library.auditor import AuditorPrompt, load_auditor
from personae.personas.library.capability_items import CapabilityItem
from personae.personas.library.conversation_records import (
    Domain,
    DriftConversation,
    JailbreakConversation,
    Topic,
    UserPersona,
)
from personae.personas.library.imported_sets import library_digest
from personae.personas.library.labelled_answers import (
    Labelled,
    LabelledAnswer,
    LabelledDelusion,
    LabelledHarm,
    LabelledRoleAnswer,
    LabelledRoleLabel,
)
from personae.personas.library.library_loader import Library, load_labelled, load_library
from personae.personas.library.records import (
    ClosedItem,
    Exchange,
    HarmProbe,
    InstructionPair,
    Question,
    Role,
    SpaceTemplate,
    SpaceTrait,
    Trait,
    TraitQuestionSets,
)
from personae.personas.library.training_sets import (
    LEVELS,
    GradedExample,
    Level,
    TrainingExample,
    TrainingSet,
    read_training_file,
)
from personae.personas.library.trait_space import expand_trait
from personae.personas.library.yaml_reader import LibraryError

__all__ = [
    "LEVELS",
    "AuditorPrompt",
    "CapabilityItem",
    "ClosedItem",
    "Domain",
    "DriftConversation",
    "Exchange",
    "GradedExample",
    "HarmProbe",
    "InstructionPair",
    "JailbreakConversation",
    "Labelled",
    "LabelledAnswer",
    "LabelledDelusion",
    "LabelledHarm",
    "LabelledRoleAnswer",
    "LabelledRoleLabel",
    "Level",
    "Library",
    "LibraryError",
    "Question",
    "Role",
    "SpaceTemplate",
    "SpaceTrait",
    "Topic",
    "TrainingExample",
    "TrainingSet",
    "Trait",
    "TraitQuestionSets",
    "UserPersona",
    "expand_trait",
    "library_digest",
    "load_auditor",
    "load_labelled",
    "load_library",
    "read_training_file",
]
