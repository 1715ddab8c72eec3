"""Sections of a study: layer sweep, steering, monitoring, capping, drift and report."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, FiniteFloat, model_validator

from personae.api.requests import Positions
from personae.base.field_types import (
    BandField,
    Count,
    Distinct,
    Fraction,
    LayersOrCount,
    Names,
    NamesOrNone,
    Percentile,
    Pool,
    Reading,
    Samples,
    Score,
    Strict,
    Tokens,
    no_repeats,
)
from personae.workflow.config.persona_sections import RoleSampling, TraitSampling

_STEERED = (
    "Tokens that are steered; response_from_prompt_end is the response and the last prompt token, "
    "as in the code of Persona Vectors."
)


class LayerSweepSection(Strict):
    """Steering at candidate layers, to choose the layer of each trait."""

    layers: LayersOrCount = Field(
        default=6,
        description="Candidate layers, a number of evenly spaced ones, or all of the model.",
    )
    units: Literal["vector", "residual"] = Field(
        default="vector",
        description="Unit of the coefficients: the length of the trait vector, which grows from "
        "layer to layer, or the mean length of the residual stream, so that layers are compared at "
        "equal dose.",
    )
    coefficients: Distinct[FiniteFloat] = Field(
        default=[2.0], description="Coefficients of the sweep, in these units."
    )
    selector_responses: Count = Field(
        default=10,
        description="Responses of each polarity with which cheap selectors are measured.",
    )
    questions: Count = Field(default=5, description="Evaluation questions per layer.")
    samples: Samples = Field(default=1, description="Responses per question and arm.")
    positions: Positions = Field(default="response", description=_STEERED)
    coherence_floor: Score = Field(
        default=50, description="Minimum mean coherence of a layer that may be chosen."
    )
    sampling: TraitSampling = Field(default=TraitSampling(), description="Sampling settings.")

    def candidates(self, n_layers: int) -> list[int]:
        """Return the layers to try in a model of ``n_layers`` blocks, ascending.

        # ASSUME: a count is spread over the inner blocks; the first and last blocks, where steering
        # does not work in either paper, are excluded.
        """
        if self.layers == "all":
            return list(range(n_layers))
        if isinstance(self.layers, list):
            return sorted(self.layers)
        parts = self.layers + 1
        return [round(part * n_layers / parts) for part in range(1, parts)]


class SteeringSection(Strict):
    """Steering with both signs at the chosen layer, compared with random directions."""

    coefficients: list[FiniteFloat] = Field(
        default=[-2.0, -1.0, 0.0, 1.0, 2.0],
        min_length=3,
        description="Coefficients of both signs, and 0 (the unsteered arm).",
    )
    questions: Count = Field(default=10, description="Evaluation questions per coefficient.")
    samples: Samples = Field(default=1, description="Responses per question and arm.")
    positions: Positions = Field(default="response", description=_STEERED)
    random_directions: int = Field(
        default=1,
        ge=0,
        le=1000,
        description="Random directions of the vector's norm, as a null.",
    )
    sampling: TraitSampling = Field(default=TraitSampling(), description="Sampling settings.")

    @model_validator(mode="after")
    def _both_ways(self) -> Self:
        values = self.coefficients
        if 0 not in values or min(values) >= 0 or max(values) <= 0:
            raise ValueError(f"coefficients {values} must hold 0 and values of both signs")
        if len(set(values)) < len(values):
            raise ValueError(f"coefficients {values} hold one value twice; keep one of them")
        return self


class ComparisonSection(Strict):
    """Ways of steering each trait compared at one dose, and their effects on other traits."""

    questions: int = Field(
        default=5,
        ge=0,
        le=10_000,
        description="Evaluation questions per arm, not used to choose the layer; 0 compares "
        "nothing.",
    )
    samples: Samples = Field(default=1, description="Responses per question and arm.")
    coefficient: FiniteFloat = Field(
        default=1.0, gt=0, description="Coefficient of every arm, in lengths of the response mean."
    )
    variants: Distinct[Literal["response_mean", "prompt_mean", "last_prompt"]] = Field(
        default=["response_mean", "prompt_mean", "last_prompt"],
        description="Variants of the vector, each scaled to the length of the response mean.",
    )
    positions: list[Positions] = Field(
        default=["response", "prompt", "all"],
        description="Tokens at which the response mean is steered, one arm each.",
    )
    arms: list[Literal["all_layers", "ablate", "pair"]] = Field(
        default=["all_layers", "ablate", "pair"],
        description="Further arms: increments of the vector at all layers, its direction projected "
        "out, and together with the next trait of the study.",
    )
    random_directions: int = Field(
        default=20, ge=0, le=1000, description="Random directions of the same length, as a null."
    )
    closed_answers: Count | None = Field(
        default=None, description="Closed questions that measure capability; null is all."
    )
    sampling: TraitSampling = Field(default=TraitSampling(), description="Sampling settings.")


class MonitoringSection(Strict):
    """Prediction of the trait score from the last prompt token, over graded prompts."""

    prompts: Count | None = Field(
        default=None,
        description="Number of graded system prompts per trait, evenly spread; null is all.",
    )
    shots: Annotated[list[Annotated[int, Field(ge=0, le=10_000)]], BeforeValidator(no_repeats)] = (
        Field(default=[4], description="Numbers of example exchanges before a question; 0 is none.")
    )
    false_alarms: Fraction = Field(
        default=0.05,
        description="Share of responses without the trait that may raise the alarm on the half of "
        "the questions that chooses its threshold.",
    )
    questions: Count = Field(
        default=5, description="Evaluation questions per prompt, not used to choose the layer."
    )
    samples: Samples = Field(default=1, description="Responses per prompt and question.")
    sampling: TraitSampling = Field(default=TraitSampling(), description="Sampling settings.")


_READING = (
    "ceiling, the papers' reading: the p-th percentile along the direction away from the "
    "Assistant, which is a floor at the (100 - p)-th along the axis; floor, ours: the p-th "
    "percentile along the axis."
)
_POOL = (
    "Rollouts whose projections the percentile is taken of: roles_and_traits is all of roles, "
    "trait space and default Assistant, as in the paper."
)


class EvaluatedFloors(Strict):
    """The floors to evaluate, out of the calibrated ones."""

    pool: Pool = Field(default="roles_and_traits", description=_POOL)
    reading: Reading = Field(default="ceiling", description=_READING)


class CappingSection(Strict):
    """Activation capping: calibration of floors, effect and cost."""

    pools: Distinct[Pool] = Field(
        default=["roles_and_traits", "roles", "default"],
        description="Pools of rollouts on which floors are calibrated.",
    )
    percentiles: Distinct[Percentile] = Field(
        default=[1, 25, 50, 75], description="Percentiles, above 0 and below 100."
    )
    readings: Distinct[Reading] = Field(
        default=["ceiling", "floor"],
        description="Readings of the percentile to calibrate.",
    )
    evaluated: EvaluatedFloors = Field(
        default=EvaluatedFloors(), description="The floors to evaluate."
    )
    bands: Distinct[BandField] | None = Field(
        default=None,
        description="Bands of layers [first, last], both included; null uses those of the model "
        "table.",
    )
    roles: Names = Field(
        default="all", description="Roles to cap on held-out questions, or all of the study."
    )
    prompts: Count = Field(default=1, description="System prompts of each capped role.")
    questions: Count = Field(default=5, description="Held-out questions per system prompt.")
    conversations: Names = Field(
        default="all", description="Persona jailbreak conversations of the library, or all."
    )
    neutral_questions: Count = Field(
        default=10,
        description="Held-out questions whose uncapped responses measure the cost by likelihood.",
    )
    closed_answers: Count | None = Field(
        default=None,
        description="Closed questions that measure the cost by accuracy; null is all.",
    )
    random_directions: int = Field(
        default=1,
        ge=0,
        le=1000,
        description="Number of random directions to cap along, as a null.",
    )
    positions: Positions = Field(default="all", description="Tokens that are capped.")
    sampling: RoleSampling = Field(default=RoleSampling(), description="Sampling settings.")


class CapSetting(Strict):
    """One cap: the floor at which, and the band of layers in which it acts."""

    pool: Pool = Field(default="roles_and_traits", description="Pool of the floor.")
    reading: Reading = Field(default="ceiling", description="Reading of the floor's percentile.")
    percentile: Percentile = Field(default=25, description="Percentile of the floor.")
    band: int = Field(default=0, ge=0, description="Index of the capping band, from 0.")


class CapabilitySection(Strict):
    """Short items with exact answers, with and without one cap (AA, capabilities under capping)."""

    items: Count | None = Field(
        default=None, description="Items of each kind, from the first; null is all."
    )
    cap: CapSetting = Field(default=CapSetting(), description="The cap of the capped arms.")
    max_new_tokens: Tokens = Field(default=40, description="Maximum tokens of a response.")


class SimulatedSection(Strict):
    """Conversations in which an auditor plays the user (AA, persona drift).

    Each topic of each persona of a domain is one conversation.
    """

    domains: NamesOrNone = Field(
        default="none",
        description="Domains of the library, all or none. assignments.auditor names the endpoint "
        "that plays the user; without it the studied model does.",
    )
    personas: Count | None = Field(
        default=None, description="Number of personas per domain, from the first; null is all."
    )
    topics: Count | None = Field(
        default=None, description="Number of topics per persona, from the first; null is all."
    )
    turns: Count = Field(default=15, description="Maximum number of turns of a conversation.")
    min_samples: Samples = Field(
        default=10,
        description="Turn positions with fewer conversations of a domain are not averaged.",
    )


class DriftSection(Strict):
    """Persona drift over the turns of conversations, with and without a cap."""

    conversations: Names = Field(default="all", description="Drift conversations, or all.")
    cap: CapSetting = Field(default=CapSetting(), description="The cap of the capped arm.")
    min_samples: Samples = Field(
        default=10, description="Turn positions with fewer conversations are not averaged."
    )
    simulated: SimulatedSection | None = Field(
        default=None, description="Simulated conversations; null is none."
    )
    sampling: RoleSampling = Field(default=RoleSampling(), description="Sampling settings.")


class ReportSection(Strict):
    """Content of the report."""

    title: str = Field(default="Persona replication", description="Title of the report.")
    transcripts: Count = Field(default=6, description="Transcripts shown side by side.")
    token_transcripts: int = Field(
        default=4,
        ge=0,
        description="Questions of every kind of transcript, and conversations, whose tokens are "
        "projected on the axis and the trait vectors to shade the report's transcripts; 0 for "
        "none.",
    )
    library_card: Literal["all", "studied"] = Field(
        default="all",
        description="Whether the library card embeds and judges the whole library or only the "
        "study's personas.",
    )
