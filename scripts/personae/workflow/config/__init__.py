"""The typed configuration of a study, its defaults, and its checks."""

from personae.personas.library.settings import LibrarySection
from personae.personas.published.published_source import PublishedSource
from personae.workflow.config.extended_study import extend_in_place
from personae.workflow.config.persona_sections import (
    EngineSection,
    TraitSpaceSection,
    TraitsSection,
)
from personae.workflow.config.readiness import check_ready
from personae.workflow.config.shortfalls import fewer_than_asked, shortfalls
from personae.workflow.config.study import Study
from personae.workflow.config.study_check import check_study, load_study
from personae.workflow.config.study_config import ConfigError, StudyConfig, load_config

__all__ = [
    "ConfigError",
    "EngineSection",
    "LibrarySection",
    "PublishedSource",
    "Study",
    "StudyConfig",
    "TraitSpaceSection",
    "TraitsSection",
    "check_ready",
    "check_study",
    "extend_in_place",
    "fewer_than_asked",
    "load_config",
    "load_study",
    "shortfalls",
]
