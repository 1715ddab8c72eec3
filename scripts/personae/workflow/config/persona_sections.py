"""Sections of a study about its personas: where they come from, and how vectors are extracted."""

from typing import Final, Literal

from pydantic import ConfigDict, Field, FiniteFloat

from personae.api.requests import Sampling
from personae.base.field_types import (
    Count,
    Draws,
    Fraction,
    Names,
    NamesOrNone,
    Samples,
    Score,
    Strict,
    Tokens,
)

_YEAR: Final = 365 * 24 * 3600


class RoleSampling(Sampling):
    """How tokens are drawn; defaults of the Assistant Axis paper."""

    model_config = ConfigDict(strict=True)

    max_new_tokens: Tokens = Field(default=512, description="Most tokens of a response.")


class TraitSampling(Sampling):
    """How tokens are drawn; defaults of the Persona Vectors paper."""

    model_config = ConfigDict(strict=True)

    temperature: FiniteFloat = Field(
        default=1.0, ge=0, description="Divides the logits; 0 is greedy decoding."
    )
    top_p: FiniteFloat = Field(
        default=1.0, gt=0, le=1, description="Keep the fewest tokens that reach this probability."
    )
    max_new_tokens: Tokens = Field(default=1000, description="Most tokens of a response.")


class EngineSection(Strict):
    """The model server that every node talks to; only `dtype` changes results beyond rounding."""

    url: str | None = Field(
        default=None, description="Use the server that runs at this address; null starts one."
    )
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="auto is bfloat16 where the device is fast at it, else float32."
    )
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1, ...")
    threads: Count | None = Field(default=None, description="CPU threads; null is torch's choice.")
    max_batch_tokens: Count = Field(
        default=32768, description="Most tokens (rows x longest row) of one batch."
    )
    idle_seconds: float = Field(
        default=300,
        gt=0,
        le=_YEAR,
        description="A server ends after so many seconds without a request.",
    )
    start_timeout: float = Field(
        default=600, gt=0, le=_YEAR, description="Most seconds to wait until a model is loaded."
    )


class RoleQuestions(Strict):
    """How many shared questions each role answers; null takes all that the library has."""

    extraction: Count | None = Field(
        default=None, description="Questions on which vectors are extracted."
    )
    heldout: Count | None = Field(
        default=None, description="Questions kept apart, on which vectors are evaluated."
    )


class RolesSection(Strict):
    """The roles arm: responses in every role, from which the Assistant Axis is computed."""

    names: Names = Field(
        default="all", description="Roles of the library, or all; the default Assistant is added."
    )
    count: Count | None = Field(
        default=None, description="Take so many of them, in turn from every category; null is all."
    )
    prompts: Count = Field(default=5, description="System prompts used of each role.")
    questions: RoleQuestions = Field(
        default=RoleQuestions(), description="How many questions each role answers."
    )
    samples: Samples = Field(default=1, description="Responses per system prompt and question.")
    sampling: RoleSampling = Field(default=RoleSampling(), description="How responses are drawn.")
    min_fully: Count = Field(
        default=10,
        description="Fewest responses of score 3 that make a role vector of the kind fully.",
    )
    min_somewhat: Count = Field(
        default=10,
        description="Fewest responses of score 2 that make a role vector of the kind somewhat.",
    )


class AxisSection(Strict):
    """Persona space: principal components, intervals and nulls."""

    variance_threshold: Fraction = Field(
        default=0.7, description="Share of variance for which components are counted."
    )
    bootstrap: Draws = Field(
        default=1000, ge=100, description="Bootstrap samples behind every interval."
    )
    permutations: Draws = Field(
        default=200, ge=20, description="Shuffles of the labels behind every null."
    )
    null_rollouts: Draws = Field(
        default=30,
        ge=2,
        description="Rollouts of each role that enter the shuffled-label null and the reliability.",
    )


class TraitQuestions(Strict):
    """How many of a trait's own questions are used; null takes all that it has."""

    extraction: Count | None = Field(
        default=None, description="Questions on which the vector is extracted."
    )
    evaluation: Count | None = Field(
        default=None, description="Questions on which steering is evaluated."
    )


class TraitSpaceSection(Strict):
    """Many short traits, each made into instruction pairs by templates: they get vectors and
    projections, and are not steered."""

    names: NamesOrNone = Field(
        default="none", description="Traits of the trait space, or all, or none."
    )
    count: Count | None = Field(
        default=None, description="Take so many of them, in turn from every category; null is all."
    )
    pairs: Count = Field(default=5, description="Templates used, the first ones.")
    questions: Count | None = Field(
        default=None, description="Questions used, of those that the roles answer; null is all."
    )
    samples: Samples = Field(default=1, description="Responses per instruction and question.")
    sampling: RoleSampling = Field(default=RoleSampling(), description="How responses are drawn.")
    min_difference: Score = Field(
        default=50, description="A (pair, question) is kept when its scores differ by this or more."
    )
    min_coherence: Score = Field(
        default=0, description="... and when both responses are at least this coherent."
    )
    min_cells: Count = Field(
        default=10, description="Fewest kept (pair, question) that make a vector of effective ones."
    )


class TraitsSection(Strict):
    """The traits arm: contrastive responses, judged and filtered, become trait vectors."""

    names: Names = Field(default="all", description="Traits of the library, or all.")
    pairs: Count = Field(
        default=5, description="Positive and negative instruction pairs used of each trait."
    )
    questions: TraitQuestions = Field(
        default=TraitQuestions(), description="How many questions each trait uses."
    )
    samples: Samples = Field(default=1, description="Responses per instruction and question.")
    sampling: TraitSampling = Field(default=TraitSampling(), description="How responses are drawn.")
    min_trait_score: Score = Field(
        default=50,
        description="A (pair, question) is kept when positive >= this and negative < this.",
    )
    min_coherence: Score = Field(
        default=50, description="... and when both responses are at least this coherent."
    )
