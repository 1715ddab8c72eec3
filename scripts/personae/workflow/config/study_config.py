"""The configuration of a study; the JSON schema and the reference are generated from it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, ValidationError

from personae.base.errors import PersonaeError
from personae.base.field_types import NameList, Slug, Strict
from personae.base.strict_yaml import YamlError, read_yaml
from personae.base.validation_messages import explain
from personae.endpoints.endpoint_settings import AssignmentsSection, Endpoint
from personae.judging.judging_settings import JudgingSection
from personae.personas.library.settings import LibrarySection
from personae.personas.published.published_source import PublishedSource
from personae.workflow.config.assistant_axis_sections import (
    CasesSection,
    HarmLinkSection,
    HarmSection,
    SusceptibilitySection,
)
from personae.workflow.config.experiment_sections import (
    CapabilitySection,
    CappingSection,
    ComparisonSection,
    DriftSection,
    LayerSweepSection,
    MonitoringSection,
    ReportSection,
    SteeringSection,
)
from personae.workflow.config.extended_study import extended, label
from personae.workflow.config.persona_sections import (
    ActivationsSection,
    AxisSection,
    EngineSection,
    RolesSection,
    TraitSpaceSection,
    TraitsSection,
)
from personae.workflow.config.reading_section import ReadingSection
from personae.workflow.config.training_sections import FinetuningSection, ScreeningSection


class ConfigError(PersonaeError):
    """An invalid study; one line per problem."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


_TAKEN: Final = ("models", "bench")
"""Folders of results that belong to no study."""


def _free(name: str) -> str:
    if name in _TAKEN:
        raise ValueError(f"{name!r} is the folder results/{name}, which all studies share; rename")
    return name


class StudyConfig(Strict):
    """One study: models, personas and experiments."""

    extends: str | None = Field(
        default=None,
        description="Study file whose keys hold where this file does not give them: sections are "
        "merged, lists and other values replaced.",
    )
    study: Annotated[Slug, AfterValidator(_free)] = Field(
        description="Name of the study; results go to results/<study>."
    )
    models: NameList = Field(description="Chat models, by their names in the model table.")
    model_table: str = Field(
        default="config/models.tsv", description="Table of models; see below for its columns."
    )
    embedder: Slug = Field(
        default="minilm_l6", description="Sentence embedder, by its name in the model table."
    )
    seed: int = Field(
        default=0, ge=0, lt=2**63, description="Seed from which all random choices derive."
    )
    library: LibrarySection = Field(default=LibrarySection(), description="The persona library.")
    engine: EngineSection = Field(default=EngineSection(), description="The model server.")
    roles: RolesSection = Field(default=RolesSection(), description="The roles arm.")
    activations: ActivationsSection = Field(
        default=ActivationsSection(), description="What is kept of the activations of rollouts."
    )
    axis: AxisSection = Field(default=AxisSection(), description="The axis and persona space.")
    traits: TraitsSection = Field(default=TraitsSection(), description="The traits arm.")
    trait_space: TraitSpaceSection = Field(
        default=TraitSpaceSection(), description="The trait space."
    )
    layer_sweep: LayerSweepSection = Field(
        default=LayerSweepSection(), description="The choice of each trait's layer."
    )
    steering: SteeringSection = Field(default=SteeringSection(), description="Steering.")
    comparison: ComparisonSection = Field(
        default=ComparisonSection(), description="Ways of steering compared."
    )
    monitoring: MonitoringSection = Field(default=MonitoringSection(), description="Monitoring.")
    capping: CappingSection = Field(default=CappingSection(), description="Activation capping.")
    susceptibility: SusceptibilitySection | None = Field(
        default=None, description="Steering along the Assistant Axis; null is none."
    )
    capability: CapabilitySection = Field(
        default=CapabilitySection(), description="Capability under capping."
    )
    harm: HarmSection | None = Field(
        default=None, description="Harmful requests under persona jailbreaks; null is none."
    )
    harm_link: HarmLinkSection | None = Field(
        default=None, description="Harmful requests after a first turn in a role; null is none."
    )
    cases: CasesSection | None = Field(
        default=None, description="Case studies with and without a cap; null is none."
    )
    drift: DriftSection = Field(default=DriftSection(), description="Persona drift.")
    finetuning: FinetuningSection = Field(
        default=FinetuningSection(), description="Fine-tuning on training data of traits."
    )
    screening: ScreeningSection = Field(
        default=ScreeningSection(), description="Screening of training data."
    )
    reading: ReadingSection = Field(
        default=ReadingSection(), description="Interpretation of trait vectors."
    )
    judging: JudgingSection = Field(default=JudgingSection(), description="The judges.")
    endpoints: dict[Slug, Endpoint] = Field(
        default={}, description="Chat models reached over HTTP, by the names used here."
    )
    assignments: AssignmentsSection = Field(
        default=AssignmentsSection(),
        description="Endpoints that generate, play the user or draft traits.",
    )
    published: list[PublishedSource] = Field(
        default=[], description="Published vectors to import and compare with the study's own."
    )
    report: ReportSection = Field(default=ReportSection(), description="The report.")


def load_config(
    described: Path | Mapping[str, Any], source: str | None = None, base: Path = Path()
) -> StudyConfig:
    """Return the study that a file or an already loaded mapping describes.

    Parameters
    ----------
    described
        YAML file, or its content.
    source
        How messages name it; the path, or "config", by default.
    base
        Project root, for the path of a file that the study extends.

    Raises
    ------
    ConfigError
        One line per problem: file, place, value and remedy.
    """
    try:
        if isinstance(described, Mapping):
            source, data = source or "config", dict(described)
        else:
            source = source or str(described)
            data = read_yaml(described, source)
        if isinstance(data, dict):
            source, data = label(source, data), extended(data, base, source)
    except YamlError as error:
        raise ConfigError([str(error)]) from None
    try:
        return StudyConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError(explain(source, error, StudyConfig, data)) from None
