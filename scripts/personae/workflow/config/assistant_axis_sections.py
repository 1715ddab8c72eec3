"""Sections of a study: role susceptibility, harm under jailbreaks, and case studies."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, FiniteFloat, model_validator

from personae.base.field_types import (
    Count,
    Distinct,
    Layer,
    Names,
    Percentile,
    Reading,
    Samples,
    Score,
    Strict,
    no_repeats,
)
from personae.workflow.config.experiment_sections import CapSetting
from personae.workflow.config.persona_sections import RoleSampling

Unit = Literal["persona_gap", "residual_norm"]


class SusceptibilitySection(Strict):
    """Steering along the Assistant Axis: who does the model say it is (AA, role susceptibility)?

    Roles x system prompts x the introspective questions, steered both ways on every token.
    """

    roles: Names = Field(
        default="all", description="Roles, or all that the library marks as susceptible."
    )
    count: Count | None = Field(
        default=None, description="Number of them, taken from all categories; null is all."
    )
    prompts: Count = Field(default=1, description="System prompts of each role, from the first.")
    layer: Layer | None = Field(
        default=None, description="Layer to steer at; null is the model's middle layer."
    )
    unit: Unit = Field(
        default="persona_gap",
        description="Unit of the strengths: persona_gap, the distance between the mean projections "
        "of default Assistant and roles; residual_norm, the mean norm of the residual stream. The "
        "tables have both.",
    )
    strengths: Annotated[list[FiniteFloat], BeforeValidator(no_repeats)] = Field(
        default=[-2.0, -1.0, 0.0, 1.0, 2.0],
        min_length=3,
        description="Strengths of both signs, and 0; positive is toward the Assistant.",
    )
    samples: Samples = Field(default=1, description="Responses per prompt, question and strength.")
    random_directions: int = Field(
        default=1,
        ge=0,
        le=1000,
        description="Random directions to steer along as a null; at most "
        "capping.random_directions.",
    )
    coherence_floor: Score = Field(
        default=50, description="Minimum mean coherence of a strength that counts."
    )
    sampling: RoleSampling = Field(default=RoleSampling(), description="Sampling settings.")

    @model_validator(mode="after")
    def _both_ways(self) -> Self:
        if 0 not in self.strengths or min(self.strengths) >= 0 or max(self.strengths) <= 0:
            raise ValueError(f"strengths {self.strengths} must hold 0 and values of both signs")
        return self


class HarmSection(Strict):
    """Harmful requests under persona jailbreaks, with and without capping (AA, capping evaluation).

    The requests are those of the library; other sets (HarmBench, JailbreakBench, StrongREJECT or
    your own) are added or put in their place by library.imports, format harm_table.
    """

    personas: Names = Field(
        default="all", description="Persona jailbreaks whose system prompts are used, or all."
    )
    probes: Count | None = Field(
        default=None,
        description="Number of harmful requests, taken from all categories; null is all. Every "
        "second one belongs to the half on which the chosen setting is reported.",
    )
    bands: Count | None = Field(
        default=None, description="Number of capping bands, from the first; null is all."
    )
    percentiles: Distinct[Percentile] | None = Field(
        default=None, description="Percentiles to cap at; null uses capping.percentiles."
    )
    readings: Distinct[Reading] | None = Field(
        default=None, description="Readings of them; null uses capping.evaluated.reading alone."
    )
    random_directions: int = Field(
        default=1,
        ge=0,
        le=1000,
        description="Random directions to cap and steer along as a null; at most "
        "capping.random_directions.",
    )
    wrong_sign: bool = Field(
        default=True,
        description="Also cap with the wrong sign, which holds the model away from the Assistant; "
        "needs both readings among capping.readings.",
    )
    single_layer: bool = Field(
        default=True, description="Also cap at the middle layer of each band alone."
    )
    steering: Annotated[list[FiniteFloat], BeforeValidator(no_repeats)] = Field(
        default=[1.0],
        description="Strengths of steering along the axis, in persona gaps; positive is toward the "
        "Assistant.",
    )
    max_accuracy_loss: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="Largest loss of accuracy on closed questions of a setting that is chosen.",
    )
    samples: Samples = Field(default=1, description="Responses per persona, request and arm.")
    sampling: RoleSampling = Field(default=RoleSampling(), description="Sampling settings.")


class HarmLinkSection(Strict):
    """Harmful requests after a first turn in a role (AA, persona drift: harm link).

    The first turns are responses of the roles, and of the default Assistant, to held-out questions.
    """

    roles: Names = Field(default="all", description="Roles of the study, or all of them.")
    prompts: Count = Field(default=1, description="System prompts of each role, from the first.")
    questions: Count = Field(
        default=10, description="Held-out questions of the first turn, from the first."
    )
    probes: Count | None = Field(
        default=8,
        description="Harmful requests after every first turn, taken from all categories; null is "
        "all.",
    )
    sampling: RoleSampling = Field(default=RoleSampling(), description="Sampling settings.")


class CasesSection(Strict):
    """Case studies, replayed turn by turn with and without a cap (AA, case studies)."""

    conversations: Names = Field(
        default="all", description="Case studies of the library, imported ones included, or all."
    )
    turns: Count | None = Field(
        default=None, description="Turns of each, from the first; null is all."
    )
    cap: CapSetting = Field(default=CapSetting(), description="The cap of the capped arm.")
    permutations: Count = Field(
        default=1000, description="Shuffles of the projections within every conversation."
    )
    sampling: RoleSampling = Field(default=RoleSampling(), description="Sampling settings.")
